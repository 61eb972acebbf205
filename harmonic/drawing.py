"""Reports as one file: a page without scripts, light or dark as the reader's screen is, and charts in its colours.

Knows nothing of what is reported: points, names, axes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 460, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 16, 26, 44
_TICKS = 5

_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--paper:#fff;--rule:#d9dee5;--c0:#1668b8;--c1:#c2410c;--c2:#15803d;--bad:#b91c1c}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b4;--paper:#12161c;--rule:#2c3440;--c0:#6cb3f5;--c1:#fb923c;--c2:#4ade80;--bad:#f87171}}
body{margin:2rem auto;max-width:84rem;padding:0 1rem;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .4rem}p{margin:.3rem 0}
code{background:color-mix(in srgb,var(--rule) 45%,transparent);padding:.1em .3em;border-radius:3px;overflow-wrap:anywhere}
.soft{color:var(--soft)}.bad{color:var(--bad)}.scroll{overflow-x:auto}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.25rem .7rem;border-bottom:1px solid var(--rule);white-space:nowrap}th:first-child,td:first-child{text-align:left}
th{color:var(--soft);font-weight:600}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(22rem,1fr));gap:1rem}
figure{margin:0}figcaption{font-weight:600;font-size:.9rem}svg{width:100%;height:auto}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}.grid{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke-width:2}.line.c0{stroke:var(--c0)}.line.c1{stroke:var(--c1)}.line.c2{stroke:var(--c2)}
circle.c0{fill:var(--c0)}circle.c1{fill:var(--c1)}circle.c2{fill:var(--c2)}
svg text.legend{text-anchor:end;font-weight:600}text.legend.c0{fill:var(--c0)}text.legend.c1{fill:var(--c1)}text.legend.c2{fill:var(--c2)}
.bar{fill:var(--c0)}
"""  # noqa: E501 - a style sheet
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points in order, and what they are; hints are shown when one points at a point."""

    name: str
    points: Sequence[Point]
    hints: Sequence[str] = ()


def whole_page(title: str, inner: str) -> str:
    """A page of its own. title: as text; inner: what its body holds, as HTML."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{inner}</body></html>\n"
    )


def line_chart(title: str, drawn: Sequence[Curve], across: str, up: str) -> str:
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
        hints = line.hints or [f"{line.name}: {_number(y)} at {_number(x)}" for x, y in line.points]
        inner += [_dot(place, number, hint) for place, hint in zip(places, hints, strict=True)]
        inner.append(
            f'<text class="legend c{number}" x="{_WIDTH - _RIGHT - 40 * (len(drawn) - number - 1)}" y="14">'
            f"{escape(line.name)}</text>"
        )
    return _svg(title, inner)


def bar_chart(title: str, values: Sequence[tuple[str, float]], across: str, up: str) -> str:
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
            f'height="{_HEIGHT - _BOTTOM - y:.1f}"><title>{escape(name)}: {_number(value)}</title></rect>'
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
        made.append(_text(_LEFT - 8, y + 4, _number(share * top), "end"))
        if right is not None:
            made.append(_text(_place((share, 0), 1, 1)[0], _HEIGHT - _BOTTOM + 16, _number(share * right), "middle"))
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    made.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, across, "middle"))
    made.append(f'<g transform="rotate(-90 13 {middle:.0f})">{_text(13, middle, up, "middle")}</g>')
    return "".join(made)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


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
