"""Names that somebody may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def near(name: str, names: Iterable[str], count: int = 5) -> str:
    """ "Near: a, b. ": the likeliest of the names, best first; nothing where none is like it."""
    names = list(dict.fromkeys(names))
    return told(_written_otherwise(name, names) or get_close_matches(name, names, n=count), count)


def told(names: Iterable[str], count: int = 5) -> str:
    """The first names as a part of a message, with a blank behind; nothing if there are none."""
    found = list(names)[:count]
    return f"Near: {', '.join(found)}. " if found else ""


def _written_otherwise(name: str, names: Iterable[str]) -> list[str]:
    """Names that differ in capitals and separators alone: ResNet-50 is resnet50."""
    return [other for other in names if _letters(other) == _letters(name)]


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()
