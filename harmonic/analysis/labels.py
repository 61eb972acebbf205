"""Names beside the points of a drawing, where they cover neither each other nor points nor lines, if there is room."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.path import Path as Stroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox, BboxBase

Position = tuple[float, float]
Place = tuple[int, int, int]  # right or left, above or below, points away

_ROOM = 7.0  # pixels around a point that no name may take
_PLACES: list[Place] = [
    (right, up, away) for away in (6, 14, 24) for right, up in ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1))
]


def place_names(
    figure: Figure, axis: Axes, names: Sequence[tuple[Position, str]], strokes: Sequence[Sequence[Position]]
) -> None:
    """Write each name at the place around its point that covers the least; the nearest of equals.

    Positions are in the axis' data. strokes: the corners of each line. Everything else must be drawn already.
    """
    canvas = FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # From here on the layout is known.
    points = [axis.transData.transform(position) for position, _ in names]
    taken: list[BboxBase] = [Bbox([[x - _ROOM, y - _ROOM], [x + _ROOM, y + _ROOM]]) for x, y in points]
    lines = [Stroke(axis.transData.transform(stroke)) for stroke in strokes]
    for position, text in names:
        name = axis.annotate(text, position, (0, 0), textcoords="offset points", fontsize=7)
        places = [(_moved(name, place, canvas), place) for place in _PLACES]
        _, best = min(places, key=lambda found: _covered(found[0], taken, lines, axis.bbox))
        taken.append(_moved(name, best, canvas))


def _moved(name: Annotation, place: Place, canvas: FigureCanvasAgg) -> Bbox:
    """Move a name, and say which pixels it takes."""
    right, up, away = place
    name.set_position((right * away, up * away))
    name.set_horizontalalignment(("center", "left", "right")[right])
    name.set_verticalalignment(("center", "bottom", "top")[up])
    return name.get_window_extent(canvas.get_renderer())  # type: ignore[no-untyped-call]


def _covered(box: Bbox, taken: Sequence[BboxBase], lines: Sequence[Stroke], inside: BboxBase) -> int:
    """How bad a place is: beyond the axes is worse than on a name or a point, and that worse than on a line."""
    beyond = box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0 or box.y1 > inside.y1
    crossed = sum(bool(line.intersects_bbox(box, filled=False)) for line in lines)
    return 100 * bool(beyond) + 10 * int(box.count_overlaps(taken)) + crossed
