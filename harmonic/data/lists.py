"""Images that a table names: a CSV file with a path and a label in every row."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from harmonic.data.folders import SPLIT_NAMES, Split
from harmonic.data.images import Images, some
from harmonic.data.openers import opener
from harmonic.data.readers import reader
from harmonic.errors import DataError
from harmonic.pixels import SUFFIXES

_PATHS = ("path", "image", "file", "filename", "filepath", "image_path")
_LABELS = ("label", "class", "category", "target")
_WANTED = "a row is path,label; the first one may name the columns, also split (train, val, test) and group"


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    path: str
    label: str
    split: Split | None
    group: str


def is_list(path: Path) -> bool:
    """Whether this is a table of images."""
    return path.is_file() and path.suffix.lower() in (".csv", ".tsv")


def list_parts(path: Path) -> set[Split]:
    """The splits that the table names; none where it has no such column."""
    return {row.split for row in _rows(path) if row.split}


@reader(is_list, list_parts)
def read_list(path: Path, split: Split) -> Images:
    """The images of one split, or of all rows where the table names no splits.

    path: CSV with commas, semicolons or tabs, in UTF-8. Paths are relative to its folder, or absolute. Rows with the
    same `group` are never on both sides of a split. DataError for rows without path or label, files that are not
    there, and a file that is listed twice.
    """
    rows = _rows(path)
    parts = {row.split for row in rows}
    if parts != {None}:
        wanted = split if split in parts else "val" if split == "test" else split
        rows = tuple(row for row in rows if row.split == wanted)
        if not rows:
            raise DataError(f"{path} names no images for {split}: write {split} into its column split.")
    places = [_place(path, row) for row in rows]
    _refuse_twice(path, rows, places)
    classes = tuple(sorted({row.label for row in rows}))
    number = {name: index for index, name in enumerate(classes)}
    groups = [row.group or f"\0{row.line}" for row in rows]
    return Images(
        path.name if parts == {None} else f"{path.name} {split}",
        classes,
        np.array([number[row.label] for row in rows], dtype=np.int64),
        [f"{path.name}/{row.path}" for row in rows],
        opener(path.parent, places),
        np.unique(groups, return_inverse=True)[1].astype(np.int64) if any(row.group for row in rows) else None,
    )


def _rows(path: Path) -> tuple[_Row, ...]:
    """The rows of a table; parsed once, though every split of it is asked for."""
    try:
        now = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return _parsed(path, now.st_mtime_ns, now.st_size)


@lru_cache(maxsize=2)
def _parsed(path: Path, _changed_ns: int, _bytes: int) -> tuple[_Row, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = ((table.line_num, [cell.strip() for cell in row]) for row in table)
        cells = [(number, row) for number, row in rows if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error
    if not cells:
        raise DataError(f"{path} is empty; {_WANTED}.")
    columns = _columns(path, cells[0][1])
    images = cells if PurePosixPath(cells[0][1][columns["path"]]).suffix.lower() in SUFFIXES else cells[1:]
    if not images:
        raise DataError(f"{path} names no image; {_WANTED}.")
    return tuple(_row(path, number, row, columns) for number, row in images)


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read as CSV in UTF-8 ({error}); {_WANTED}.")


def _columns(path: Path, first: list[str]) -> dict[str, int]:
    """Which column has what. A first row that is an image already has the path first, the label second."""
    names = [name.lower() for name in first]
    found = {
        what: next((names.index(name) for name in known if name in names), -1)
        for what, known in (("path", _PATHS), ("label", _LABELS), ("split", ("split",)), ("group", ("group",)))
    }
    if found["path"] >= 0 and found["label"] >= 0:
        return found
    if len(first) >= 2 and PurePosixPath(first[0]).suffix.lower() in SUFFIXES:
        return {"path": 0, "label": 1, "split": -1, "group": -1}
    raise DataError(f"{path}: the columns {some(first)} are no path and label; {_WANTED}.")


def _row(path: Path, number: int, row: list[str], columns: dict[str, int]) -> _Row:
    def cell(what: str) -> str:
        column = columns[what]
        return row[column] if 0 <= column < len(row) else ""

    if not cell("path") or not cell("label"):
        raise DataError(f"{path}, line {number}: no {'label' if cell('path') else 'path'}; {_WANTED}.")
    split = cell("split").lower()
    if columns["split"] >= 0 and split not in SPLIT_NAMES:
        raise DataError(f"{path}, line {number}: {split!r} is no split; wanted train, val or test.")
    return _Row(number, cell("path"), cell("label"), SPLIT_NAMES.get(split), cell("group"))


def _place(path: Path, row: _Row) -> PurePosixPath:
    """The file of a row; Windows writes its paths with backslashes."""
    for name in (row.path, row.path.replace("\\", "/")):
        if (path.parent / name).is_file():
            return PurePosixPath(name)
    raise DataError(f"{path}, line {row.line}: {row.path} is no file; paths are relative to the folder of the table.")


def _refuse_twice(path: Path, rows: Sequence[_Row], places: list[PurePosixPath]) -> None:
    counts = Counter((path.parent / place).resolve() for place in places)
    twice = [row.path for row, place in zip(rows, places, strict=True) if counts[(path.parent / place).resolve()] > 1]
    if twice:
        raise DataError(f"{path} names files more than once: {some(twice)}. Leave one row of each.")
