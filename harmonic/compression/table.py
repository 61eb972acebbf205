"""What compression chose and what it cost, as tables and as figures."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.table import Table

from harmonic.compression.choice import WORDS, Measure, shown
from harmonic.compression.compress import Outcome
from harmonic.compression.cuts import Cut
from harmonic.compression.distill import Tuned
from harmonic.compression.search import Found
from harmonic.conversion import layer_column
from harmonic.layers import BandSet
from harmonic.shown import plain

# How a layer's size is shown in each measure: the head of its column, what it is divided by, and how many places.
_UNITS: dict[Measure, tuple[str, float, int]] = {
    "params": ("parameters", 1, 0),
    "macs": ("multiplications, M", 1e6, 2),
    "bytes": ("weights, KB", 1e3, 1),
    "latency": ("latency, ms", 1e6, 3),
}


def compression_figures(outcome: Outcome) -> dict[str, Any]:
    """What a compression cost, as JSON; pairs are before and after."""
    return {
        "levels": {name: _told(outcome, name) for name in outcome.cuts},
        "losses": outcome.losses,
        "calibration_images": outcome.images,
        "held_out_images": outcome.held_out,
        "parameters": list(outcome.parameters),
        "multiplications": list(outcome.sizes["macs"]),
        "bytes": list(outcome.sizes["bytes"]),
        "latency_ns": list(outcome.sizes["latency"]) if outcome.timed else None,
        "layers": outcome.layer_sizes,
        "accuracy": list(outcome.accuracy),
        "agreement": outcome.agreement,
        "divergence": outcome.divergence,
        "search": _search(outcome.search) if outcome.search else None,
        "finetuned": asdict(outcome.tuned) if outcome.tuned else None,
    }


def compression_tables(outcome: Outcome) -> Iterator[Table]:
    """What was chosen of every layer, then what that costs on the images that were held out."""
    units = [unit for unit in _UNITS if unit in outcome.sizes]
    columns = ["kept", "filters", *(_UNITS[unit][0] for unit in units), "loss alone, nats"]
    layers = Table(layer_column(), *columns, title="Chosen frequencies")
    for name, cut in outcome.cuts.items():
        (kept, of), sizes = outcome.filters[name], outcome.layer_sizes[name]
        layers.add_row(
            plain(name),
            _word(cut),
            f"{kept:.3g}/{of}",
            *(_change(unit, *sizes[unit]) for unit in units),
            f"{outcome.losses[name]:.4f}",
        )
    yield layers
    right, still = outcome.accuracy
    figures = Table(title=f"On {outcome.held_out:,} held-out images", show_header=False)
    for measure, (before, after) in outcome.sizes.items():
        figures.add_row(WORDS[measure], f"{shown(measure, before)} -> {shown(measure, after)} ({after / before:.1%})")
    figures.add_row("same answer as before", f"{outcome.agreement:.2%}")
    figures.add_row("divergence", f"{outcome.divergence:.4f} nats")
    if right is not None and still is not None:
        figures.add_row("top-1", f"{right:.2%} -> {still:.2%}")
    if outcome.search:
        figures.add_row(f"best of {outcome.search.trials:,} other choices", _closer(*outcome.search.cost))
    if outcome.tuned:
        figures.add_row("learned from the whole network", _learned(outcome.tuned))
    yield figures


def _word(cut: Cut) -> str:
    if isinstance(cut, BandSet):
        return "a set"
    return "full" if cut is None else f"level {cut}"


def _told(outcome: Outcome, name: str) -> int | dict[str, float] | None:
    """A level, null for all; for a set of bands how many filters it has for each channel, in the mean."""
    cut, (filters, of) = outcome.cuts[name], outcome.filters[name]
    return {"filters": filters, "of": of} if isinstance(cut, BandSet) else cut


def _change(measure: Measure, before: int, after: int) -> str:
    """A layer's size before and after; once where it stays."""
    _, unit, places = _UNITS[measure]
    texts = [f"{size / unit:,.{places}f}" for size in (before, after)]
    return " -> ".join(dict.fromkeys(texts))


def _learned(tuned: Tuned) -> str:
    done, of = tuned.steps
    word = f"{tuned.epochs} x {tuned.images:,} images" if done == of else f"{done:,} of {of:,} steps"
    return f"{word}; {_closer(*tuned.divergence)}"


def _closer(before: float, after: float) -> str:
    return f"divergence on others {before:.4f} -> {after:.4f} nats"


def _search(found: Found) -> dict[str, Any]:
    return {"trials": found.trials, "divergence": list(found.cost)}
