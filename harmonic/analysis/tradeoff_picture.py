"""The picture of error against size: a line a family and data set, bars over seeds, rings around the front."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from harmonic.analysis.labels import place_names
from harmonic.analysis.tradeoff import Point, front, lines
from harmonic.analysis.tradeoff_table import line_name, point_name
from harmonic.picture import must_be_picture, write_picture

_STYLES = ("-", "--", ":", "-.")  # one for each data set, as in the source's figure
_AXES = {"parameters": "trainable parameters", "macs": "multiply-accumulates for one image"}
_WIDE = 8  # times the smallest size: from there on the axis is logarithmic


def draw_tradeoff(points: Sequence[Point], picture: Path, *, split: str, counted: str = "parameters") -> None:
    """Draw error in percent against size: solid lines for the first data set, dashed for the second, and so on.

    Bars go from the best seed to the worst, a ring marks the front. PictureError as `write_picture`.
    """
    must_be_picture(picture)
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    axis = figure.subplots()
    drawn = lines(points, counted)
    handles = _draw_lines(axis, drawn, counted)
    handles.append(_draw_front(axis, points, counted))
    _name_axes(axis, points, split, counted)
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False, handlelength=3.5)
    names = [((point.size(counted), point.error), point_name(point, line)) for line in drawn for point in line]
    place_names(figure, axis, names, [[(point.size(counted), point.error) for point in line] for line in drawn])
    write_picture(figure, picture)


def _draw_lines(axis: Axes, drawn: list[list[Point]], counted: str) -> list[Line2D]:
    data = list(dict.fromkeys(line[0].data for line in drawn))
    families = list(dict.fromkeys(line[0].family for line in drawn))
    handles = []
    for line in drawn:
        sizes, errors = [point.size(counted) for point in line], [point.error for point in line]
        bars = [[p.error - min(p.errors) for p in line], [max(p.errors) - p.error for p in line]]
        colour = f"C{families.index(line[0].family) % 10}"
        style = _STYLES[data.index(line[0].data) % len(_STYLES)]
        name = f"{line_name(line)} on {line[0].data}"
        axis.errorbar(sizes, errors, bars, color=colour, linestyle="", elinewidth=1, capsize=3)
        handles += axis.plot(sizes, errors, style, color=colour, marker="o", markersize=5, label=name)
    return handles


def _draw_front(axis: Axes, points: Sequence[Point], counted: str) -> Line2D:
    best = front(points, counted)
    (rings,) = axis.plot(
        [point.size(counted) for point in best],
        [point.error for point in best],
        linestyle="",
        marker="o",
        markersize=11,
        markerfacecolor="none",
        markeredgecolor="0.3",
        label="front: no other is as small and as good",
    )
    return rings


def _name_axes(axis: Axes, points: Sequence[Point], split: str, counted: str) -> None:
    sizes = [point.size(counted) for point in points]
    if max(sizes) > _WIDE * min(sizes):
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axis.set(xlabel=_AXES[counted], ylabel=f"error on {split} images, %")
    axis.margins(0.12)
    axis.set_ylim(bottom=max(0, axis.get_ylim()[0]))
    axis.grid(alpha=0.3)
