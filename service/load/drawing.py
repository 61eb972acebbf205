"""Charts as SVG inside a page: lines and bars, in the page's own colours, so that they follow its light and dark.

Knows nothing of loads: points, names, axes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 460, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 26, 44
_TICKS = 5

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points in order, and what they are; hints are shown when one points at a point."""

    name: str
    points: Sequence[Point]
    hints: Sequence[str] = ()


def lines(title: str, drawn: Sequence[Curve], across: str, up: str) -> str:
    """A chart of lines from zero, with a legend."""
    points = [point for line in drawn for point in line.points]
    if not points:
        return ""
    right, top = (_round_up(max(point[axis] for point in points)) for axis in (0, 1))
    inner = [_axes(right, top, across, up)]
    for number, line in enumerate(drawn):
        places = [_place(point, right, top) for point in line.points]
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        inner.append(f'<polyline class="line c{number}" points="{way}"/>')
        hints = line.hints or [f"{line.name}: {y:.4g} at {x:.4g}" for x, y in line.points]
        inner += [_dot(place, number, hint) for place, hint in zip(places, hints, strict=True)]
        inner.append(
            f'<text class="legend c{number}" x="{_WIDTH - _RIGHT - 40 * (len(drawn) - number - 1)}" y="14">'
            f"{escape(line.name)}</text>"
        )
    return _svg(title, inner)


def bars(title: str, values: Sequence[tuple[str, float]], across: str, up: str) -> str:
    """A bar for every name, in the order given; names that have no room are left out."""
    if not values:
        return ""
    top = _round_up(max(value for _, value in values))
    wide = (_WIDTH - _LEFT - _RIGHT) / len(values)
    every = math.ceil(len(values) / 16)
    inner = [_axes(None, top, across, up)]
    for number, (name, value) in enumerate(values):
        x, y = _LEFT + number * wide, _place((0, value), 1, top)[1]
        inner.append(
            f'<rect class="bar" x="{x + wide * 0.1:.1f}" y="{y:.1f}" width="{wide * 0.8:.1f}" '
            f'height="{_HEIGHT - _BOTTOM - y:.1f}"><title>{escape(name)}: {value:,.4g}</title></rect>'
        )
        if number % every == 0:
            inner.append(_text(x + wide / 2, _HEIGHT - _BOTTOM + 16, name, "middle"))
    return _svg(title, inner)


def _svg(title: str, inner: Sequence[str]) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(inner)}</svg></figure>'
    )


def _axes(right: float | None, top: float, across: str, up: str) -> str:
    made = []
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        y = _place((0, share), 1, 1)[1]
        made.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        made.append(_text(_LEFT - 8, y + 4, f"{share * top:,.4g}", "end"))
        if right is not None:
            made.append(_text(_place((share, 0), 1, 1)[0], _HEIGHT - _BOTTOM + 16, f"{share * right:,.4g}", "middle"))
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    made.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, across, "middle"))
    made.append(f'<g transform="rotate(-90 13 {middle:.0f})">{_text(13, middle, up, "middle")}</g>')
    return "".join(made)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _dot(place: Point, number: int, hint: str) -> str:
    x, y = place
    return f'<circle class="c{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(hint)}</title></circle>'


def _place(point: Point, right: float, top: float) -> Point:
    x = _LEFT + point[0] / right * (_WIDTH - _LEFT - _RIGHT)
    return x, _HEIGHT - _BOTTOM - point[1] / top * (_HEIGHT - _BOTTOM - _TOP)


def _round_up(value: float) -> float:
    """The next number that divides well."""
    if value <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    return next(step * scale for step in (1, 1.5, 2, 3, 4, 5, 7.5, 10) if step * scale >= value * 0.9999)
