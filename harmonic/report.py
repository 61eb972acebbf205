"""Tables for people: evaluations and the list of architectures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from rich.table import Column, Table
from torch import nn

from harmonic import zoo
from harmonic.compress import Outcome
from harmonic.convert import Conversion
from harmonic.errors import SpectrumError
from harmonic.evaluate import Evaluation
from harmonic.pixels import PixelSpec
from harmonic.selection import harmonic_layers
from harmonic.shown import plain
from harmonic.trace import macs, parameters


@dataclass(frozen=True, slots=True)
class ArchitectureRow:
    """What a list says of an architecture.

    macs: of one image; None where most arithmetic is not that of convolutions and linear layers (transforms, say).
    published: test error as the papers print it.
    """

    name: str
    parameters: int
    macs: int | None
    height: int
    width: int
    published: str
    arguments: tuple[str, ...]
    what: str


def evaluation_table(measured: Evaluation) -> Table:
    """The figures of all classes together."""
    figures = Table(title=plain(measured.source), show_header=False)
    figures.add_row("images", f"{len(measured.labels):,}")
    figures.add_row("top-1", f"{measured.top(1):.2%}")
    if len(measured.classes) > 5:
        figures.add_row("top-5", f"{measured.top(5):.2%}")
    for name, value in measured.figures().items():
        figures.add_row(name.replace("_", " "), f"{value:.4f}")
    figures.add_row("calibration error", f"{measured.calibration_error():.4f}")
    figures.add_row("images/s", f"{len(measured.labels) / measured.seconds:,.0f}")
    return figures


def class_tables(measured: Evaluation) -> list[Table]:
    """Confusion and recall by class, then the same for a narrow terminal; none for more than 20 classes."""
    return [_confusion_table(measured), _mistakes_table(measured)] if len(measured.classes) <= 20 else []


def architecture_rows() -> Iterator[ArchitectureRow]:
    """Every listed architecture, for 10 classes (1,000 for inputs above 100 pixels)."""
    for family in zoo.families():
        for name in family.listed:
            spec = zoo.native_pixels(name)
            with torch.device("meta"):
                model = zoo.create(name, 10 if spec.height <= 100 else 1000)
            yield ArchitectureRow(
                name,
                parameters(model),
                _macs(model, spec),
                spec.height,
                spec.width,
                family.published.get(name, ""),
                (*family.arguments, *(["bank"] if harmonic_layers(model) else []), "spectrum"),
                family.summary,
            )


def _macs(model: nn.Module, spec: PixelSpec) -> int | None:
    try:
        return macs(model, (spec.channels, spec.height, spec.width))
    except SpectrumError:
        return None


def architecture_tables(rows: Sequence[ArchitectureRow]) -> list[Table]:
    """The rows as a table, then the same for narrower and narrower terminals, always a column less.

    MACs: multiply-accumulates of one image in millions, layers fused.
    """
    columns = ("name", "parameters", "M MAC", "input", "published error, %", "arguments")
    cells = [
        (
            row.name,
            f"{row.parameters:,}",
            "–" if row.macs is None else f"{row.macs / 1e6:,.1f}",
            f"{row.height} x {row.width}",
            row.published,
            ", ".join(row.arguments),
        )
        for row in rows
    ]
    return [_first_columns(columns, cells, count) for count in range(len(columns), 0, -1)]


def _first_columns(columns: Sequence[str], cells: Sequence[Sequence[str]], count: int) -> Table:
    """The names and figures on one line each; what stays outside is told below the table."""
    shown = (Column(name, no_wrap=place < 4) for place, name in enumerate(columns[:count]))
    table = Table(*shown, title="Architectures")
    for row in cells:
        table.add_row(*row[:count])
    if count < len(columns):
        table.caption = f"Too narrow for: {', '.join(columns[count:])}. --json tells all."
    return table


def _names() -> Column:
    """Layers' names are long, and cut ones are of no use."""
    return Column("layer", overflow="fold")


def conversion_table(report: Conversion) -> Table:
    """Filters, energy and parameters of every converted layer, and their sums."""
    table = Table(_names(), "kernel", "level", "filters", "energy kept", "parameters", title="Conversion")
    for layer in report.layers:
        rows, columns = layer.kernel_size
        table.add_row(
            plain(layer.name),
            f"{rows} x {columns}",
            "full" if layer.plan.level is None else str(layer.plan.level),
            f"{layer.filters}/{layer.of}",
            f"{layer.energy:.1%}",
            f"{layer.parameters_before:,} -> {layer.parameters_after:,}",
        )
    before, after = (
        sum(getattr(layer, f"parameters_{when}") for layer in report.layers) for when in ("before", "after")
    )
    table.add_section()
    table.add_row("all", "", "", "", "", f"{before:,} -> {after:,}")
    return table


def conversion_figures(report: Conversion) -> dict[str, Any]:
    """The same as JSON, with the layers that stay as they are and why."""
    layers = [
        {
            "layer": layer.name,
            "kernel_size": list(layer.kernel_size),
            "level": layer.plan.level,
            "filters": [layer.filters, layer.of],
            "energy": layer.energy,
            "parameters": [layer.parameters_before, layer.parameters_after],
        }
        for layer in report.layers
    ]
    return {"layers": layers, "skipped": dict(report.skipped)}


def compression_figures(outcome: Outcome) -> dict[str, Any]:
    """What a compression cost, as JSON; pairs are before and after."""
    return {
        "levels": outcome.levels,
        "losses": outcome.losses,
        "calibration_images": outcome.images,
        "parameters": list(outcome.parameters),
        "accuracy": list(outcome.accuracy),
        "agreement": outcome.agreement,
        "divergence": outcome.divergence,
    }


def compression_tables(outcome: Outcome) -> Iterator[Table]:
    """The chosen level of every layer, then what they cost on the calibration images."""
    layers = Table(_names(), "level", "filters", "loss alone, nats", title="Chosen levels")
    for name, level in outcome.levels.items():
        kept, of = outcome.filters[name]
        layers.add_row(
            plain(name), "full" if level is None else str(level), f"{kept}/{of}", f"{outcome.losses[name]:.4f}"
        )
    yield layers
    (before, after), (right, still) = outcome.parameters, outcome.accuracy
    figures = Table(title=f"On {outcome.images:,} calibration images", show_header=False)
    figures.add_row("parameters", f"{before:,} -> {after:,} ({after / before:.1%})")
    figures.add_row("same answer as before", f"{outcome.agreement:.2%}")
    figures.add_row("divergence", f"{outcome.divergence:.4f} nats")
    if right is not None and still is not None:
        figures.add_row("top-1", f"{right:.2%} -> {still:.2%}")
    yield figures


def _confusion_table(measured: Evaluation) -> Table:
    table = Table(title="Confusion")
    table.add_column("true \\ answered", no_wrap=True)
    for name in measured.classes:
        table.add_column(plain(name), justify="right", no_wrap=True)
    table.add_column("recall", justify="right", no_wrap=True)
    for name, row, recall in zip(measured.classes, measured.confusion(), measured.recall(), strict=True):
        table.add_row(plain(name), *(str(count) for count in row), f"{recall:.1%}")
    return table


def _mistakes_table(measured: Evaluation) -> Table:
    """A line a class, with the class that it is taken for most often."""
    right = (Column(name, justify="right", no_wrap=True) for name in ("images", "recall"))
    table = Table(Column("class", overflow="fold"), *right, Column("most often taken for", overflow="fold"))
    table.title = "Classes"
    for place, (row, recall) in enumerate(zip(measured.confusion(), measured.recall(), strict=True)):
        wrong = row.copy()
        wrong[place] = 0
        other = int(wrong.argmax())
        mistake = plain(f"{measured.classes[other]} ({wrong[other]})") if wrong[other] else ""
        table.add_row(plain(measured.classes[place]), str(row.sum()), f"{recall:.1%}", mistake)
    return table
