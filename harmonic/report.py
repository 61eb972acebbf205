"""Tables for people: evaluations and the list of architectures."""

from collections.abc import Iterator

import torch
from rich.table import Table

from harmonic import zoo
from harmonic.evaluate import Evaluation


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


def architecture_table() -> Table:
    """Every listed architecture with its parameters for 10 classes (1,000 for inputs above 100 pixels)."""
    table = Table("name", "parameters", "input", "arguments", "what it is", title="Architectures")
    for family in zoo.families():
        classes = 10 if family.pixels.height <= 100 else 1000
        for name in family.listed:
            with torch.device("meta"):
                parameters = sum(p.numel() for p in zoo.create(name, classes).parameters() if p.requires_grad)
            size = f"{family.pixels.height} x {family.pixels.width}"
            table.add_row(name, f"{parameters:,}", size, ", ".join(family.arguments), family.summary)
    return table


def _confusion_table(measured: Evaluation) -> Table:
    table = Table("true \\ answered", *measured.classes, "recall", title="Confusion")
    for name, row, recall in zip(measured.classes, measured.confusion(), measured.recall(), strict=True):
        table.add_row(name, *(str(count) for count in row), f"{recall:.1%}")
    return table
