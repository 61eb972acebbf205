"""The readers of data sets in the files of their authors: one function each, registered beside its code."""

from collections.abc import Callable
from pathlib import Path

from harmonic.data.folders import Split
from harmonic.data.images import Images

Knows = Callable[[Path], bool]
Parts = Callable[[Path], set[Split]]
Read = Callable[[Path, Split], Images]

_READERS: list[tuple[Knows, Read, Parts]] = []


def _two_parts(_: Path) -> set[Split]:
    return {"train", "test"}


def reader(knows: Knows, parts: Parts = _two_parts) -> Callable[[Read], Read]:
    """Register a function that reads one part of a data set, "train" or "test".

    knows: whether a file or folder, which is there, holds that data set. It is asked of everything that is read, so it
    looks at names or a header and never raises for what is another's. Of two readers that know a path, the one that was
    registered first reads it. parts: which splits it holds, empty where it is read whole.
    """

    def register(read: Read) -> Read:
        _READERS.append((knows, read, parts))
        return read

    return register


def reader_of(path: Path) -> Read | None:
    """The reader that knows a path; None for class folders."""
    return next((read for knows, read, _ in _READERS if knows(path)), None)


def parts_of(path: Path) -> set[Split] | None:
    """The splits of a path that a reader knows; None for class folders."""
    return next((parts(path) for knows, _, parts in _READERS if knows(path)), None)
