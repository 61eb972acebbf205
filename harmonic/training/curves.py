"""Loss and accuracy of a run over its epochs, as a picture."""

import csv
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harmonic.picture import must_be_picture, write_picture

_PARTS = {"train": "training", "val": "validation"}


def draw_curves(log: Path, picture: Path, *, title: str) -> None:
    """Draw a CSV log's train and validation columns, by epoch. PictureError as `write_picture`."""
    must_be_picture(picture)
    with log.open() as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(10, 4), layout="constrained")
    for panel, what in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        _draw_panel(panel, rows, what)
    figure.suptitle(title, parse_math=False)  # a data set may be called $5 or $10
    write_picture(figure, picture)


def _draw_panel(panel: Axes, rows: list[dict[str, str]], what: str) -> None:
    for part, label in _PARTS.items():
        points = [(int(row["epoch"]), float(row[name])) for row in rows if row.get(name := f"{part}_{what}")]
        if points:
            panel.plot(*zip(*points, strict=True), label=label)
    panel.set(xlabel="epoch", ylabel=what)
    panel.grid(alpha=0.3)
    panel.legend()
