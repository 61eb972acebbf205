"""Labelled images from what people have: a folder or zip of class folders, a table of paths and labels, CIFAR-10/100,
STL-10, MNIST, HAM10000.

Broken data is told at once.

A source may hold splits: folders `train`, `val` and `test`, or a data set's own two parts.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

# The data sets register themselves: each is imported here, and named nowhere else.
from harmonic.data import archives, folders, ham10000, lists  # noqa: F401
from harmonic.data.folders import Split
from harmonic.data.images import Images, joined, prepare_all, some, split_by_group, stratified_split
from harmonic.data.readers import parts_of, reader_of
from harmonic.errors import DataError

__all__ = ["Images", "Split", "has_split", "only", "prepare_all", "read", "split_by_group", "stratified_split"]


def read(paths: Sequence[Path], split: Split) -> Images:
    """Read one split of one or more sources of the same classes; a source without splits is taken whole.

    A source with a val folder but no test folder is tested on its val folder. Raises DataError for what cannot be
    learned from: nothing there, a single class, classes that differ between sources.
    """
    parts = [_read_source(path, split) for path in paths]
    if not parts:
        raise DataError("no data given. Pass --data FOLDER_OR_ZIP.")
    if len({part.classes for part in parts}) > 1:
        raise DataError(
            f"the sources have different classes: {'; '.join(f'{p.source}: {some(p.classes)}' for p in parts)}."
        )
    images = parts[0] if len(parts) == 1 else joined(parts)
    if len(images.classes) < 2:
        raise DataError(
            f"{images.source} has the single class {images.classes[0]!r}; a classifier needs two class folders or more."
        )
    return images


def only(images: Images, path: Path) -> Images:
    """The images whose numbers a text file names, counted from 0 in the order of their source; repeated numbers count
    once. DataError for a file without numbers or with numbers of other images."""
    try:
        numbers = np.unique(np.array(path.read_text().split(), dtype=np.int64))
    except (OSError, ValueError, OverflowError) as error:
        raise DataError(f"{path}: wanted whole numbers with white space between ({error}).") from error
    if not numbers.size or numbers[0] < 0 or numbers[-1] >= len(images):
        raise DataError(f"{path}: wanted numbers from 0 to {len(images) - 1}, the images of {images.source}.")
    return replace(images.subset(numbers), source=f"{images.source}, {path.name}")


def has_split(path: Path, split: Split) -> bool:
    """Whether a source says which of its images belong to the split."""
    _check_exists(path)
    parts = parts_of(path)
    if parts is not None:
        return split in parts
    return split in folders.class_folders(path).splits


def _read_source(path: Path, split: Split) -> Images:
    _check_exists(path)
    if reader := reader_of(path):
        if split == "val" and not has_split(path, "val"):
            raise DataError(f"{path} has no validation images of its own.")
        return reader(path, split)
    source = folders.class_folders(path)
    if not source.splits:
        return source.images(None)
    folder = source.splits.get(split) or (source.splits.get("val") if split == "test" else None)
    if folder is None:
        raise DataError(f"{path} is split into folders, but none is for {split}: name one of them {split!r}.")
    return source.images(folder)


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder.")
