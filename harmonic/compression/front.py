"""The whole front of a network, from one run of measurements: how much it keeps of itself at every size, as a table and
as a picture."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator, PercentFormatter
from rich.table import Table

from harmonic.compression.choice import WORDS, shown
from harmonic.compression.compress import Outcome
from harmonic.picture import write_picture


def front_table(outcomes: Sequence[Outcome]) -> Table:
    """A row for the whole network and one for each size."""
    labelled = outcomes[0].accuracy[0] is not None
    measures = list(outcomes[0].sizes)
    columns = [
        "budget",
        *(WORDS[measure] for measure in measures),
        "same answer",
        "divergence, nats",
        *(["top-1"] if labelled else []),
    ]
    table = Table(*columns, title=f"On {outcomes[0].held_out:,} held-out images")
    whole = [shown(measure, outcomes[0].sizes[measure][0]) for measure in measures]
    table.add_row("whole", *whole, "100.00%", "0.0000", *([_share(outcomes[0].accuracy[0])] if labelled else []))
    for one in outcomes:
        sizes = [shown(measure, one.sizes[measure][1]) for measure in measures]
        figures = [_share(one.agreement), f"{one.divergence:.4f}", *([_share(one.accuracy[1])] if labelled else [])]
        table.add_row(str(one.budget), *sizes, *figures)
    return table


def draw_front(outcomes: Sequence[Outcome], picture: Path) -> None:
    """Draw what is kept of the whole network's answers, and of its accuracy where that is known, against its size in
    every measure. PictureError as `write_picture`."""
    lines: dict[str, tuple[float | None, Callable[[Outcome], float | None]]] = {
        "same answer": (1.0, lambda one: one.agreement),
        "top-1": (outcomes[0].accuracy[0], lambda one: one.accuracy[1]),
    }
    measures = list(outcomes[0].sizes)
    columns = 2 if len(measures) % 2 == 0 else len(measures)
    rows = len(measures) // columns
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis, measure in zip(axes.flat, measures, strict=True):
        sizes = [outcomes[0].sizes[measure][0], *(one.sizes[measure][1] for one in outcomes)]
        for name, (before, after) in lines.items():
            kept = [value for value in (before, *map(after, outcomes)) if value is not None]
            if len(kept) == len(sizes):
                axis.plot([size / sizes[0] for size in sizes], kept, marker="o", markersize=4, label=name)
        _dress(axis, f"{WORDS[measure]}, share of {shown(measure, sizes[0])}")
    axes.flat[0].set_xlim(left=0)  # of all; only now, since what is drawn later would not widen it any more
    for axis in axes[:, 0]:
        axis.set_ylabel(f"on {outcomes[0].held_out:,} held-out images")
    axes.flat[0].legend(loc="lower right", frameon=False)
    write_picture(figure, picture)


def _dress(axis: Axes, name: str) -> None:
    """Shares, in every measure, so that curves can be compared across."""
    axis.set_xlabel(name)
    axis.xaxis.set_major_locator(MultipleLocator(0.2))
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    # A shared axis would leave the upper row without its numbers.
    axis.tick_params(labelbottom=True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"
