"""What points of error against size are called, and their tables."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Column, Table

from harmonic import zoo
from harmonic.analysis.tradeoff import Point, by_size, front
from harmonic.shown import plain


def tradeoff_tables(points: Sequence[Point], *, split: str, counted: str = "parameters") -> Iterator[Table]:
    """A table for each data set: a row a point, by size; the last column marks the front."""
    for data in dict.fromkeys(point.data for point in points):
        table = _table([point for point in points if point.data == data], counted)
        table.title = plain(f"Error on {split} images: {data}")
        yield table


def tradeoff_rows(points: Sequence[Point], counted: str = "parameters") -> list[dict[str, Any]]:
    """The points as JSON, by size: what a `Point` holds, `error` (the median) and whether it is on the front."""
    best = front(points, counted)
    return [{**asdict(point), "error": point.error, "front": point in best} for point in by_size(points, counted)]


def described(point: Point, points: Sequence[Point]) -> str:
    """A network and its arguments; its recipe's title too, where only that tells it from another of the points."""
    words = [f"{name} {written(name, value)}" for name, value in point.arguments.items()]
    same = [other for other in points if _network(other) == _network(point)]
    return ", ".join([point.architecture, *words, *([point.recipe] if len(same) > 1 and point.recipe else [])])


def line_name(line: Sequence[Point]) -> str:
    """The name that all points of a line share, with the numbers that they do not in braces: wrn10_{width}."""
    names = {point.architecture for point in line}
    if len(names) == 1:
        return names.pop()
    name, members = line[0].family, [_numbers(point) for point in line]
    for part, value in members[0].items():
        if all(member[part] == value for member in members):
            name = name.replace(f"{{{part}}}", written(part, value))
    return name


def point_name(point: Point, line: Sequence[Point]) -> str:
    """What tells a point from the others of its line: "level 3", "width 0.5"."""
    known = [_numbers(other) | zoo.find(other.architecture).arguments | other.arguments for other in line]
    mine = known[line.index(point)]
    names = dict.fromkeys(name for other in known for name in other)
    differing = [name for name in names if any(other.get(name) != mine.get(name) for other in known)]
    if not differing:
        return point.recipe if len(line) > 1 else ""
    return ", ".join(f"{name} {written(name, mine.get(name))}" for name in differing)


def written(name: str, value: Any) -> str:
    """A value as people write it; the level None is the full band, and of a spectrum only the levels are said."""
    if isinstance(value, dict):
        levels = [plan["level"] if isinstance(plan, dict) else plan for plan in value.values()]
        few, *rest = sorted(set(levels), key=lambda level: (level is None, level))
        return written("level", few) + (f" to {written('level', rest[-1])}" if rest else "")
    if isinstance(value, list | tuple):
        return "/".join(written(name, part) for part in value)
    if value is None:
        return "full" if name == "level" else "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _numbers(point: Point) -> dict[str, Any]:
    """The numbers in a network's name."""
    return zoo.find(point.architecture).match(point.architecture) or {}


def _table(points: Sequence[Point], counted: str) -> Table:
    best, several = front(points, counted), any(len(point.errors) > 1 for point in points)
    table = Table(
        Column("network", overflow="fold"),
        Column("parameters", justify="right", no_wrap=True),
        *([Column("M MAC", justify="right", no_wrap=True)] if counted == "macs" else []),
        Column("error, %", justify="right", no_wrap=True),
        *([Column("range (runs)", justify="right", no_wrap=True)] if several else []),
        Column("front", justify="center", no_wrap=True),
    )
    for point in by_size(points, counted):
        table.add_row(
            plain(described(point, points)),
            f"{point.parameters:,}",
            *([f"{point.size(counted) / 1e6:,.1f}"] if counted == "macs" else []),
            f"{point.error:.2f}",
            *([_range(point)] if several else []),
            "●" if point in best else "",
        )
    return table


def _network(point: Point) -> tuple[str, dict[str, Any], str]:
    return point.architecture, point.arguments, point.data


def _range(point: Point) -> str:
    low, high = min(point.errors), max(point.errors)
    return f"{low:.2f} to {high:.2f} ({len(point.errors)})" if len(point.errors) > 1 else "(1)"
