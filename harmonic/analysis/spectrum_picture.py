"""The picture of a network's spectrum: a panel a kernel size, a row a layer, a column a frequency."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harmonic.conversion import Layer, must_have
from harmonic.picture import must_be_picture, write_picture


def draw_spectrum(layers: Sequence[Layer], picture: Path, *, title: str) -> None:
    """Draw the weights: a panel a kernel size, a row a layer, a column a frequency. PictureError as `write_picture`."""
    must_have(layers)
    must_be_picture(picture)
    panels = list(_panels(layers))
    heights = [len(rows) + 2 for _, rows, _ in panels]
    figure = Figure(figsize=(9, 1 + 0.3 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axis, panel in zip(axes.flat, panels, strict=True):
        _draw_panel(figure, axis, *panel)
    axes.flat[-1].set_xlabel("frequency u,v (along rows, along columns), in the order of u + v")
    figure.suptitle(title)
    write_picture(figure, picture)


def _draw_panel(figure: Figure, axis: Axes, labels: list[str], rows: list[list[float]], names: list[str]) -> None:
    image = axis.imshow(rows, aspect="auto", vmin=0)
    crowded = len(labels) > 12
    axis.set_yticks(range(len(names)), names, fontsize=7)
    axis.set_xticks(range(len(labels)), labels, fontsize=5 if crowded else 7, rotation=90 if crowded else 0)
    figure.colorbar(image, ax=axis, label="share of weight")


def _panels(layers: Sequence[Layer]) -> Iterator[tuple[list[str], list[list[float]], list[str]]]:
    """For each kernel size: the frequencies, a row of weights for each of its layers, the layers' names."""
    for size in sorted({tuple(layer["kernel_size"]) for layer in layers}):
        mine = [layer for layer in layers if tuple(layer["kernel_size"]) == size]
        pairs = sorted(((u, v) for u in range(size[0]) for v in range(size[1])), key=lambda pair: (sum(pair), pair))
        rows = []
        for layer in mine:
            weight = dict(zip(map(tuple, layer["frequencies"]), layer["weight"], strict=True))
            rows.append([weight.get(pair, float("nan")) for pair in pairs])
        yield [f"{u},{v}" for u, v in pairs], rows, [layer["layer"] for layer in mine]
