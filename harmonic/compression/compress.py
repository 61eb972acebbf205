"""Compression that is chosen, not guessed: measure what each layer loses, pick cuts for a budget, carry them out.

The network in the chosen cuts is measured as a whole, on images that none of this has seen.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from harmonic.bundles import Bundle, with_plans
from harmonic.compression.bench import Bench, device_of
from harmonic.compression.choice import (
    Budget,
    Measure,
    Menu,
    ShareMeasure,
    cuts_for,
    cuts_for_accuracy,
    must_be_possible,
)
from harmonic.compression.cuts import Cut, Sets, bands, own_cut, own_cuts, plan
from harmonic.compression.distill import Tuned, Tuning, distilled
from harmonic.compression.effort import affordable
from harmonic.compression.latency import Clock, cuts_in_time, latency_prices, must_be_timed
from harmonic.compression.prices import Prices, byte_prices, least, mac_prices, parameter_prices
from harmonic.compression.refit import refit
from harmonic.compression.search import Found, searched
from harmonic.compression.sensitivity import Loss, fully_harmonic, losses, with_cuts
from harmonic.compression.watch import Watch, unwatched
from harmonic.conversion import harmonic_layers
from harmonic.errors import CompressionError
from harmonic.layers import SpectralConv2d

_HELD_OUT = 0.2  # of the images
_JUDGES, _SEARCHED = 0.25, 250  # of the other images: on these a search compares; and how many of each it uses


@dataclass(frozen=True)
class Outcome:
    """What was chosen, on so many images, and what it cost on those that were held out.

    filters: kept for each input channel, in the mean, of so many. losses: of each layer alone. sizes, layer_sizes:
    before and after, in every measure; a latency, in nanoseconds, is there where a clock was, and of the whole network
    it was measured.
    """

    budget: Budget
    images: int
    held_out: int
    cuts: dict[str, Cut]
    filters: dict[str, tuple[float, int]]
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
    sets: Sets = "levels",
) -> tuple[Bundle, Outcome]:
    """Choose cuts for a budget and carry them out; CompressionError, before anything is measured, if none meet it.

    refitted: solve for the kept coefficients again (`refit`); False leaves them as they are. trials: other cuts that
    are tried, with that in place (not for a budget in accuracy or latency). tuning: then let the network learn from the
    whole one. clock: measures latency, which a budget in it needs. sets: what may be kept of a layer: the low
    frequencies of every channel up to a level, the same filters of every channel, or of each channel its own; the last
    two are found by solving, so they want `refitted`, and for a budget in latency there are levels alone.
    A fifth of the images is held out: neither losses nor coefficients see them, and the outcome and a budget in
    accuracy are measured on them. The work is done where the network lies.
    """
    ways: dict[str, Any] = {"refitted": refitted, "trials": trials, "tuning": tuning, "clock": clock, "sets": sets}
    return next(compress_to(given, bench, [budget], watch, **ways))


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
    sets: Sets = "levels",
) -> Iterator[tuple[Bundle, Outcome]]:
    """As `compress_bundle` for several budgets in turn; what layers lose is measured once."""
    _must_go_together(sets, refitted, budgets)
    network = fully_harmonic(given.model)
    prices = _prices(network, bench)
    _must_be_possible(network, prices, budgets, sets)
    times = clock(network, bench.spec) if clock else None
    if any(budget.kind == "latency" for budget in budgets):
        prices["latency"] = latency_prices(network, must_be_timed(times))
        _must_be_possible(network, prices, budgets, sets)
    images, held_out = bench.parted(_HELD_OUT)
    measured = losses(network, images, watch, refitted=refitted, sets=sets)
    for budget in budgets:
        if budget.kind == "latency" and times:
            cuts, search = cuts_in_time(network, measured, prices["latency"], budget, times), None
        else:
            cuts, search = _cuts(network, measured, prices, budget, (images, held_out), watch, refitted, trials)
        small = _carried_out(network, cuts, images if refitted else None, watch)
        tuned = distilled(small, network, images, tuning, watch) if tuning else None
        timed: dict[Measure, Prices] = {}
        if times:
            timed["latency"] = latency_prices(network, times, list(cuts.items()))
        outcome = _outcome(budget, (images, held_out), (network, small), cuts, measured, {**prices, **timed})
        sizes = {**outcome.sizes, "latency": (times.whole, times.beside(small))} if times else outcome.sizes
        outcome = replace(outcome, sizes=sizes, search=search, tuned=tuned)
        yield _bundle(given, small, outcome.summary()), outcome


def _must_go_together(sets: Sets, refitted: bool, budgets: Sequence[Budget]) -> None:
    if sets != "levels" and not refitted:
        raise CompressionError("sets of bands are found by solving for coefficients again; without that, keep levels.")
    if sets != "levels" and any(budget.kind == "latency" for budget in budgets):
        raise CompressionError("which bands go is known after layers are timed; for a budget in latency, keep levels.")


def shares(
    given: Bundle, bench: Bench, measure: ShareMeasure, wanted: Sequence[float], sets: Sets = "levels"
) -> list[Budget]:
    """Budgets of these shares of a network, those alone that some cuts meet."""
    network = fully_harmonic(given.model)
    prices = _prices(network, bench)[measure]
    whole, fewest = prices.total(own_cuts(network)), least(network, prices, sets)
    budgets = [Budget(measure, share) for share in wanted]
    return [budget for budget in budgets if budget.allowed(whole) >= fewest]


def _must_be_possible(
    network: nn.Module, prices: Mapping[Measure, Prices], budgets: Sequence[Budget], sets: Sets
) -> None:
    """As `choice.must_be_possible`, for those budgets whose prices are known."""
    for budget in budgets:
        if budget.kind != "accuracy" and budget.kind in prices:
            measured = prices[budget.kind]
            must_be_possible(network, measured, budget.allowed(measured.total(own_cuts(network))), budget.kind, sets)


def _cuts(
    network: nn.Module,
    measured: Sequence[Loss],
    prices: Mapping[Measure, Prices],
    budget: Budget,
    benches: tuple[Bench, Bench],
    watch: Watch,
    refitted: bool,
    trials: int,
) -> tuple[dict[str, Cut], Found | None]:
    """The cuts for a budget, and what a search for them found. benches: for the choice, and held out."""
    images, held_out = benches
    if budget.kind == "accuracy":

        def made(cuts: Mapping[str, Cut]) -> nn.Module:
            return _carried_out(network, cuts, images if refitted else None, watch)

        return cuts_for_accuracy(network, measured, held_out, budget.value, made), None
    price = prices[budget.kind]
    allowed = budget.allowed(price.total(own_cuts(network)))
    cuts = cuts_for(network, measured, allowed, price, budget.kind)
    if not trials:
        return cuts, None
    menu = Menu.of(network, measured, price)
    cost = _cost(network, menu, images, refitted)
    found = searched(menu.options, menu.numbers(cuts), allowed - menu.rest, cost, trials, watch)
    return menu.as_cuts(found.choice), found


def compressed(
    given: Bundle, cuts: Mapping[str, Cut], *, record: Mapping[str, Any], images: Bench | None = None
) -> Bundle:
    """A bundle of the same network in these cuts: its weights hold only the kept coefficients.

    cuts: by layer of `fully_harmonic(given.model)`. record: figures for the card's metrics, under "compression".
    images: solve for the coefficients again on them; None leaves them as they are.
    """
    network = fully_harmonic(given.model)
    return _bundle(given, _carried_out(network, cuts, images, unwatched), record)


def _carried_out(network: nn.Module, cuts: Mapping[str, Cut], images: Bench | None, watch: Watch) -> nn.Module:
    """The network in these cuts: of plain truncation and both ways to refit it, what answers most as before."""
    truncated = with_cuts(network, cuts)
    if images is None:
        return truncated
    batches = images.batches(device_of(network))
    tried = [refit(with_cuts(network, cuts), network, batches, watch, spread=spread) for spread in (True, False)]
    judges = images.some(affordable(network, images.spec, len(images.pixels)))
    before = judges.answers(network)
    return min([*tried, truncated], key=lambda small: judges.answers(small).divergence(before))


def _cost(network: nn.Module, menu: Menu, images: Bench, refitted: bool) -> Callable[[Mapping[str, int]], float]:
    """What a choice of cuts costs a network, carried out on a part of the images and measured on the others."""
    fitted, judges = (part.some(_SEARCHED) for part in images.parted(_JUDGES))
    batches, before = fitted.batches(device_of(network)), judges.answers(network)

    def cost(choice: Mapping[str, int]) -> float:
        small = with_cuts(network, menu.as_cuts(choice))
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
    cuts: dict[str, Cut],
    measured: Sequence[Loss],
    prices: Mapping[Measure, Prices],
) -> Outcome:
    """benches: for the choice, and held out. networks: before and after."""
    (images, held_out), (whole, small) = benches, networks
    before, after = held_out.answers(whole), held_out.answers(small)
    former = own_cuts(whole)
    alone = {(loss.layer, loss.cut): loss.divergence for loss in measured}
    return Outcome(
        budget,
        len(images.pixels),
        len(held_out.pixels),
        cuts,
        {name: _filters(layer) for name, layer in harmonic_layers(small).items()},
        {name: alone.get((name, cut), 0.0) for name, cut in cuts.items()},
        {measure: (price.total(former), price.total(cuts)) for measure, price in prices.items()},
        {
            name: {m: (price.of(name, former[name]), price.of(name, cut)) for m, price in prices.items()}
            for name, cut in cuts.items()
        },
        (before.accuracy(), after.accuracy()),
        after.divergence(before),
        after.agreement(before),
    )


def _filters(layer: SpectralConv2d) -> tuple[float, int]:
    return bands(layer) * layer.groups / layer.in_channels, math.prod(layer.kernel_size)


def _bundle(given: Bundle, small: nn.Module, record: Mapping[str, Any]) -> Bundle:
    plans = {name: plan(layer, own_cut(layer)) for name, layer in harmonic_layers(small).items()}
    metrics = {"compression": dict(record), "before_compression": given.card.metrics}
    return Bundle(with_plans(given, plans, metrics), small)
