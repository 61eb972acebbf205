"""Compression that is chosen, not guessed: measure what each layer loses, pick levels for a budget, carry them out.

The network with the chosen levels is measured as a whole, on images that none of this has seen.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from harmonic.bundles import Bundle, with_plans
from harmonic.compression.bench import Bench, device_of
from harmonic.compression.distill import Tuned, Tuning, distilled
from harmonic.compression.latency import Clock, latency_prices, levels_in_time, must_be_timed
from harmonic.compression.levels import (
    Budget,
    Measure,
    Menu,
    ShareMeasure,
    least,
    levels_for,
    levels_for_accuracy,
    must_be_possible,
)
from harmonic.compression.prices import Prices, byte_prices, mac_prices, parameter_prices
from harmonic.compression.refit import refit
from harmonic.compression.search import Found, searched
from harmonic.compression.sensitivity import Loss, fully_harmonic, losses, with_levels
from harmonic.compression.watch import Watch, unwatched
from harmonic.conversion import LayerPlan, Level, harmonic_layers
from harmonic.layers import BandNormConv2d

_HELD_OUT = 0.2  # of the images
_JUDGES, _SEARCHED = 0.25, 250  # of the other images: on these a search compares; and how many of each it uses


@dataclass(frozen=True)
class Outcome:
    """What was chosen, on so many images, and what it cost on those that were held out.

    losses: of each layer alone. sizes, layer_sizes: before and after, in every measure; a latency, in nanoseconds, is
    there where a clock was, and of the whole network it was measured.
    """

    budget: Budget
    images: int
    held_out: int
    levels: dict[str, Level]
    filters: dict[str, tuple[int, int]]
    losses: dict[str, float]
    sizes: dict[Measure, tuple[int, int]]
    layer_sizes: dict[str, dict[Measure, tuple[int, int]]]
    accuracy: tuple[float | None, float | None]
    divergence: float
    agreement: float
    search: Found | None = None
    tuned: Tuned | None = None

    @property
    def parameters(self) -> tuple[int, int]:
        """Before and after."""
        return self.sizes["params"]

    @property
    def timed(self) -> bool:
        """Whether latency was measured."""
        return "latency" in self.sizes

    def summary(self) -> dict[str, Any]:
        """The figures for a card."""
        return {
            "budget": str(self.budget),
            "calibration_images": self.images,
            "held_out_images": self.held_out,
            "parameters_before": self.parameters[0],
            "parameters_after": self.parameters[1],
            "multiplications_before": self.sizes["macs"][0],
            "multiplications_after": self.sizes["macs"][1],
            "divergence": self.divergence,
            "agreement": self.agreement,
            "top1_before": self.accuracy[0],
            "top1_after": self.accuracy[1],
            **({"latency_ms": [round(each / 1e6, 3) for each in self.sizes["latency"]]} if self.timed else {}),
            **(self.tuned.summary() if self.tuned else {}),
        }


def compress_bundle(
    given: Bundle,
    bench: Bench,
    budget: Budget,
    watch: Watch = unwatched,
    *,
    refitted: bool = True,
    trials: int = 0,
    tuning: Tuning | None = None,
    clock: Clock | None = None,
) -> tuple[Bundle, Outcome]:
    """Choose levels for a budget and carry them out; CompressionError, before anything is measured, if none meet it.

    refitted: solve for the kept coefficients again (`refit`); False leaves them as they are. trials: other levels that
    are tried, with that in place (not for a budget in accuracy or latency). tuning: then let the network learn from the
    whole one. clock: measures latency, which a budget in it needs.
    A fifth of the images is held out: neither losses nor coefficients see them, and the outcome and a budget in
    accuracy are measured on them. The work is done where the network lies.
    """
    return next(
        compress_to(given, bench, [budget], watch, refitted=refitted, trials=trials, tuning=tuning, clock=clock)
    )


def compress_to(
    given: Bundle,
    bench: Bench,
    budgets: Sequence[Budget],
    watch: Watch = unwatched,
    *,
    refitted: bool = True,
    trials: int = 0,
    tuning: Tuning | None = None,
    clock: Clock | None = None,
) -> Iterator[tuple[Bundle, Outcome]]:
    """As `compress_bundle` for several budgets in turn; what layers lose is measured once."""
    network = fully_harmonic(given.model)
    prices = _prices(network, bench)
    _must_be_possible(network, prices, budgets)
    times = clock(network, bench.spec) if clock else None
    if any(budget.kind == "latency" for budget in budgets):
        prices["latency"] = latency_prices(network, must_be_timed(times))
        _must_be_possible(network, prices, budgets)
    images, held_out = bench.parted(_HELD_OUT)
    measured = losses(network, images, watch, refitted=refitted)
    for budget in budgets:
        if budget.kind == "latency" and times:
            levels, search = levels_in_time(network, measured, prices["latency"], budget, times), None
        else:
            levels, search = _levels(network, measured, prices, budget, (images, held_out), watch, refitted, trials)
        small = _carried_out(network, levels, images if refitted else None, watch)
        tuned = distilled(small, network, images, tuning, watch) if tuning else None
        timed: dict[Measure, Prices] = {}
        if times:
            timed["latency"] = latency_prices(network, times, list(levels.items()))
        outcome = _outcome(budget, (images, held_out), (network, small), levels, measured, {**prices, **timed})
        sizes = {**outcome.sizes, "latency": (times.whole, times.beside(small))} if times else outcome.sizes
        outcome = replace(outcome, sizes=sizes, search=search, tuned=tuned)
        yield _bundle(given, small, outcome.summary()), outcome


def shares(given: Bundle, bench: Bench, measure: ShareMeasure, wanted: Sequence[float]) -> list[Budget]:
    """Budgets of these shares of a network, those alone that some levels meet."""
    network = fully_harmonic(given.model)
    prices = _prices(network, bench)[measure]
    whole = prices.total(_own_levels(network))
    budgets = [Budget(measure, share) for share in wanted]
    return [budget for budget in budgets if budget.allowed(whole) >= least(prices)]


def _must_be_possible(network: nn.Module, prices: Mapping[Measure, Prices], budgets: Sequence[Budget]) -> None:
    """As `levels.must_be_possible`, for those budgets whose prices are known."""
    for budget in budgets:
        if budget.kind != "accuracy" and budget.kind in prices:
            measured = prices[budget.kind]
            must_be_possible(measured, budget.allowed(measured.total(_own_levels(network))), budget.kind)


def _levels(
    network: nn.Module,
    measured: Sequence[Loss],
    prices: Mapping[Measure, Prices],
    budget: Budget,
    benches: tuple[Bench, Bench],
    watch: Watch,
    refitted: bool,
    trials: int,
) -> tuple[dict[str, Level], Found | None]:
    """The levels for a budget, and what a search for them found. benches: for the choice, and held out."""
    images, held_out = benches
    if budget.kind == "accuracy":

        def made(levels: Mapping[str, Level]) -> nn.Module:
            return _carried_out(network, levels, images if refitted else None, watch)

        return levels_for_accuracy(network, measured, held_out, budget.value, made), None
    price = prices[budget.kind]
    allowed = budget.allowed(price.total(_own_levels(network)))
    levels = levels_for(network, measured, allowed, price, budget.kind)
    if not trials:
        return levels, None
    menu = Menu.of(network, measured, price)
    cost = _cost(network, menu, images, refitted)
    found = searched(menu.options, menu.numbers(levels), allowed - menu.rest, cost, trials, watch)
    return menu.as_levels(found.choice), found


def _own_levels(network: nn.Module) -> dict[str, Level]:
    return {name: layer.level for name, layer in harmonic_layers(network).items()}


def compressed(
    given: Bundle, levels: Mapping[str, Level], *, record: Mapping[str, Any], images: Bench | None = None
) -> Bundle:
    """A bundle of the same network at these levels: its weights hold only the kept coefficients.

    levels: by layer of `fully_harmonic(given.model)`. record: figures for the card's metrics, under "compression".
    images: solve for the coefficients again on them; None leaves them as they are.
    """
    network = fully_harmonic(given.model)
    return _bundle(given, _carried_out(network, levels, images, unwatched), record)


def _carried_out(network: nn.Module, levels: Mapping[str, Level], images: Bench | None, watch: Watch) -> nn.Module:
    """The network at these levels: of plain truncation and both ways to refit it, what answers most as before."""
    truncated = with_levels(network, levels)
    if images is None:
        return truncated
    batches = images.batches(device_of(network))
    tried = [refit(with_levels(network, levels), network, batches, watch, spread=spread) for spread in (True, False)]
    before = images.answers(network)
    return min([*tried, truncated], key=lambda small: images.answers(small).divergence(before))


def _cost(network: nn.Module, menu: Menu, images: Bench, refitted: bool) -> Callable[[Mapping[str, int]], float]:
    """What a choice of levels costs a network, carried out on a part of the images and measured on the others."""
    fitted, judges = (part.some(_SEARCHED) for part in images.parted(_JUDGES))
    batches, before = fitted.batches(device_of(network)), judges.answers(network)

    def cost(choice: Mapping[str, int]) -> float:
        small = with_levels(network, menu.as_levels(choice))
        if refitted:
            refit(small, network, batches, spread=False)
        return judges.answers(small).divergence(before)

    return cost


def _prices(network: nn.Module, bench: Bench) -> dict[Measure, Prices]:
    rows, columns, channels = bench.spec.shape
    return {
        "params": parameter_prices(network),
        "macs": mac_prices(network, (channels, rows, columns)),
        "bytes": byte_prices(network),
    }


def _outcome(
    budget: Budget,
    benches: tuple[Bench, Bench],
    networks: tuple[nn.Module, nn.Module],
    levels: dict[str, Level],
    measured: Sequence[Loss],
    prices: Mapping[Measure, Prices],
) -> Outcome:
    """benches: for the choice, and held out. networks: before and after."""
    (images, held_out), (whole, small) = benches, networks
    before, after = held_out.answers(whole), held_out.answers(small)
    former = _own_levels(whole)
    alone = {(loss.layer, loss.level): loss.divergence for loss in measured}
    return Outcome(
        budget,
        len(images.pixels),
        len(held_out.pixels),
        levels,
        {n: (len(layer.frequencies), math.prod(layer.kernel_size)) for n, layer in harmonic_layers(small).items()},
        {name: alone.get((name, level or 0), 0.0) for name, level in levels.items()},
        {measure: (price.total(former), price.total(levels)) for measure, price in prices.items()},
        {
            name: {
                m: (price.layers[name, former[name]], price.layers[name, levels[name]]) for m, price in prices.items()
            }
            for name in levels
        },
        (before.accuracy(), after.accuracy()),
        after.divergence(before),
        after.agreement(before),
    )


def _bundle(given: Bundle, small: nn.Module, record: Mapping[str, Any]) -> Bundle:
    layers = harmonic_layers(small).items()
    plans = {name: LayerPlan(layer.level, norm=isinstance(layer, BandNormConv2d)) for name, layer in layers}
    metrics = {"compression": dict(record), "before_compression": given.card.metrics}
    return Bundle(with_plans(given, plans, metrics), small)
