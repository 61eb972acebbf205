"""Names beside points cover neither each other nor points, and stay inside."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.path import Path

from harmonic.analysis.labels import place_names


def placed(positions, strokes=()):
    """The boxes of names on a drawing of 700 x 500 pixels, their points, and the axes, in pixels."""
    figure = Figure(figsize=(7, 5), dpi=100, layout="constrained")
    canvas, axis = FigureCanvasAgg(figure), figure.subplots()
    axis.plot(*zip(*positions, strict=True), "o")
    for stroke in strokes:
        axis.plot(*zip(*stroke, strict=True))
    axis.margins(0.12)
    place_names(figure, axis, [(position, f"name {n}") for n, position in enumerate(positions)], strokes)
    canvas.draw()
    boxes = [name.get_window_extent(canvas.get_renderer()) for name in axis.texts]
    return boxes, axis.transData.transform(positions), axis


@pytest.mark.parametrize("seed", range(4))
def test_names_of_scattered_points_overlap_neither_names_nor_points(seed):
    positions = [tuple(pair) for pair in np.random.default_rng(seed).uniform(0, 1, (14, 2))]
    boxes, points, _ = placed(positions)
    assert len(boxes) == 14
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(box.contains(*point) for box in boxes for point in points)


def test_names_of_equal_points_are_apart():
    boxes, _, _ = placed([(1, 1), (1, 1), (1, 1), (2, 2)])
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_names_at_the_border_stay_inside():
    boxes, _, axis = placed([(0, 0), (0, 9), (9, 0), (9, 9)])
    for box in boxes:
        assert axis.bbox.x0 <= box.x0 < box.x1 <= axis.bbox.x1
        assert axis.bbox.y0 <= box.y0 < box.y1 <= axis.bbox.y1


def test_a_name_gives_way_to_a_line():
    slope = [(0, 0), (1, 1), (2, 2)]
    (_, box, _), _, axis = placed(slope, [slope])
    assert not Path(axis.transData.transform(slope)).intersects_bbox(box, filled=False)


def test_a_name_alone_is_near_its_point():
    (box,), ((x, y),), _ = placed([(1, 1)])
    assert 0 < box.x0 - x < 15
    assert 0 < box.y0 - y < 15
