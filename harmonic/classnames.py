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
    path = Path(source)
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read as class names ({error}).") from error
    if path.suffix.lower() == ".csv":
        rows = list(csv.DictReader(lines))
        column = "name" if rows and "name" in rows[0] else next(iter(rows[0]), "") if rows else ""
        lines = [row[column] or "" for row in rows]
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) != count:
        raise DataError(f"{source} has {len(names)} class names; the network answers {count}.")
    return _each_once(names)


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """Data sets have classes of one name (two cranes, two maillots in ImageNet); the later ones get their number."""
    return tuple(f"{name} ({index})" if name in names[:index] else name for index, name in enumerate(names))
