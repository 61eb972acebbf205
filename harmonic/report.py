"""Tables for people: evaluations and the list of architectures."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from rich.table import Table

from harmonic import zoo
from harmonic.evaluate import Evaluation
from harmonic.trace import macs, parameters


@dataclass(frozen=True, slots=True)
class ArchitectureRow:
    """What a list says of an architecture. macs: of one image; published: test error as the papers print it."""

    name: str
    parameters: int
    macs: int
    height: int
    width: int
    published: str
    arguments: tuple[str, ...]
    what: str


def evaluation_tables(measured: Evaluation) -> Iterator[Table]:
    """The figures, then recall and confusion by class (up to 20 classes)."""
    figures = Table(title=measured.source, show_header=False)
    figures.add_row("images", f"{len(measured.labels):,}")
    figures.add_row("top-1", f"{measured.top(1):.2%}")
    if len(measured.classes) > 5:
        figures.add_row("top-5", f"{measured.top(5):.2%}")
    for name, value in measured.figures().items():
        figures.add_row(name.replace("_", " "), f"{value:.4f}")
    figures.add_row("calibration error", f"{measured.calibration_error():.4f}")
    figures.add_row("images/s", f"{len(measured.labels) / measured.seconds:,.0f}")
    yield figures
    if len(measured.classes) <= 20:
        yield _confusion_table(measured)


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
                macs(model, (spec.channels, spec.height, spec.width)),
                spec.height,
                spec.width,
                family.published.get(name, ""),
                (*family.arguments, "spectrum"),
                family.summary,
            )


def architecture_table(rows: Iterable[ArchitectureRow]) -> Table:
    """The rows as a table. MACs: multiply-accumulates of one image in millions, layers fused."""
    table = Table("name", "parameters", "M MAC", "input", "published error, %", "arguments", title="Architectures")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.parameters:,}",
            f"{row.macs / 1e6:,.1f}",
            f"{row.height} x {row.width}",
            row.published,
            ", ".join(row.arguments),
        )
    return table


def _confusion_table(measured: Evaluation) -> Table:
    table = Table("true \\ answered", *measured.classes, "recall", title="Confusion")
    for name, row, recall in zip(measured.classes, measured.confusion(), measured.recall(), strict=True):
        table.add_row(name, *(str(count) for count in row), f"{recall:.1%}")
    return table
