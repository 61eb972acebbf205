"""What an evaluation found, as tables."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Num
from numpy import ndarray
from rich.table import Column, Table

from harmonic.evaluation import metrics
from harmonic.evaluation.evaluate import Evaluation
from harmonic.shown import plain


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
    if len(measured.classes) > 20:
        return []
    return [_confusion_table(measured), mistakes_table("Classes", measured.classes, measured.confusion())]


def _confusion_table(measured: Evaluation) -> Table:
    table = Table(title="Confusion")
    table.add_column("true \\ answered", no_wrap=True)
    for name in measured.classes:
        table.add_column(plain(name), justify="right", no_wrap=True)
    table.add_column("recall", justify="right", no_wrap=True)
    for name, row, recall in zip(measured.classes, measured.confusion(), measured.recall(), strict=True):
        table.add_row(plain(name), *(str(count) for count in row), f"{recall:.1%}")
    return table


def mistakes_table(title: str, classes: Sequence[str], confusion: Num[ndarray, "classes classes"]) -> Table:
    """A line a class, with the class that it is taken for most often: how many of its images are.

    Where counts are means over several judgements, it is their share of the class.
    """
    whole = np.issubdtype(confusion.dtype, np.integer)
    right = (Column(name, justify="right", no_wrap=True) for name in ("images", "recall"))
    table = Table(Column("class", overflow="fold"), *right, Column("most often taken for", overflow="fold"))
    table.title = title
    for place, (row, recall) in enumerate(zip(confusion, metrics.recall(confusion), strict=True)):
        wrong = np.where(np.arange(len(row)) == place, 0, row)
        other = int(wrong.argmax())
        taken = f"{wrong[other]}" if whole else f"{wrong[other] / row.sum():.0%}"
        mistake = plain(f"{classes[other]} ({taken})") if wrong[other] else ""
        table.add_row(plain(classes[place]), f"{row.sum():.0f}", f"{recall:.1%}", mistake)
    return table
