"""Loss and accuracy of a run over its epochs, as a picture."""

import csv
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt


def draw_curves(metrics: Path, picture: Path, *, title: str) -> None:
    """Draw a CSV log's train and validation columns, by epoch, to a PNG."""
    with metrics.open() as file:
        rows = list(csv.DictReader(file))
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for panel, what in zip(panels, ("loss", "accuracy"), strict=True):
        for part in ("train", "val"):
            points = [(int(row["epoch"]), float(row[name])) for row in rows if row.get(name := f"{part}_{what}")]
            if points:
                panel.plot(*zip(*points, strict=True), label={"train": "training", "val": "validation"}[part])
        panel.set(xlabel="epoch", ylabel=what)
        panel.grid(alpha=0.3)
        panel.legend()
    figure.suptitle(title)
    figure.savefig(picture, dpi=120)
    plt.close(figure)
