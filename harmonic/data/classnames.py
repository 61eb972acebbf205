"""Class names from a file, in the order of the logits."""

import csv
from pathlib import Path

from harmonic.errors import DataError


def read_classes(source: str | None, count: int) -> tuple[str, ...]:
    """Class names in the order of the logits.

    source: a text file with a name a line, or a CSV with a column "name" (else its first), or None for the numbers.
    Raises DataError unless there are `count` names, each once.
    """
    if source is None:
        return tuple(str(number) for number in range(count))
    names = named_classes(source)
    if len(names) != count:
        raise DataError(f"{source} has {len(names)} class names; the network answers {count}.")
    return names


def named_classes(source: str) -> tuple[str, ...]:
    """As many as there are in the file."""
    path = Path(source)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # spreadsheets write a mark of byte order
        if path.suffix.lower() == ".csv":
            lines = _column(list(csv.DictReader(lines)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{source}: cannot be read as class names ({error}).") from error
    names = each_once(tuple(line.strip() for line in lines if line.strip()))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source}: {twice!r} stands more than once. Give each class a name of its own.")
    return names


def _column(rows: list[dict[str, str | None]]) -> list[str]:
    if not rows:
        return []
    column = "name" if "name" in rows[0] else next(iter(rows[0]))
    return [row[column] or "" for row in rows]


def each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, distinct: of classes that share one (two cranes, two maillots in ImageNet), the later get their
    number."""
    return tuple(f"{name} ({index})" if name in names[:index] else name for index, name in enumerate(names))
