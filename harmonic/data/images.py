"""Labelled images, opened one at a time: chosen from, joined, split by class, and prepared on all cores.

Knows no file format: `data` says where images come from.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harmonic.cores import usable_cores
from harmonic.data.tracking import tracked
from harmonic.errors import DataError
from harmonic.pixels import PixelSpec, prepare

Opener = Callable[[int], Image.Image]
_CHUNK = 256  # Images decoded together.


@runtime_checkable
class Digesting(Protocol):
    """An opener that can tell images apart without decoding them."""

    def digest(self, index: int) -> bytes:
        """A number of an image's content."""


@runtime_checkable
class Storing(Protocol):
    """An opener of encoded images: it can give one as it is stored, so that it is decoded as a model wants it."""

    def stored(self, index: int) -> bytes | None:
        """The bytes of its file; None where this one is no file."""


def stored(opener: Opener, index: int) -> bytes | None:
    """An image as it is stored, encoded; None where it is kept as pixels."""
    return opener.stored(index) if isinstance(opener, Storing) else None


def content(opener: Opener, index: int) -> bytes:
    """A number of an image's content: equal for equal images that the same opener opens."""
    if isinstance(opener, Digesting):
        return opener.digest(index)
    image = opener(index)
    return blake2b(image.tobytes(), digest_size=16, salt=f"{image.size}{image.mode}".encode()[:16]).digest()


@dataclass(frozen=True)
class Images:
    """Labelled images, opened one at a time.

    source: where they came from. classes: class names. labels: index of each image's class.
    names: what to call each image in a message. open: the upright RGB image of an index; it can be pickled, since
    worker processes use it too.
    groups: number of the thing that each image shows, where several show the same one; splits keep them together.
    folds: indices of the parts of it that the data set itself defines.
    left_out: how many files of their source were not taken, by kind.
    """

    source: str
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    names: Sequence[str]
    open: Opener
    groups: NDArray[np.int64] | None = None
    folds: Sequence[NDArray[np.int64]] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def taken(self, index: int, spec: PixelSpec) -> Image.Image | bytes:
        """An image as `prepare` takes it: encoded, where the spec has a say in how it is decoded; else upright RGB."""
        encoded = stored(self.open, index) if spec.jpeg_scale != "full" else None
        return self.open(index) if encoded is None else encoded

    def subset(self, indices: NDArray[np.int64]) -> "Images":
        """The images of these indices, in their order."""
        names = [self.names[i] for i in indices]
        groups = None if self.groups is None else self.groups[indices]
        chosen = _Chosen(self.open, indices)
        return replace(self, labels=self.labels[indices], names=names, open=chosen, groups=groups, folds=())

    def fold(self, number: int) -> "Images":
        """One of the data set's own parts; DataError if it has no such part."""
        if number >= len(self.folds):
            known = f"folds 0 to {len(self.folds) - 1}" if self.folds else "no folds of its own"
            raise DataError(f"{self.source} has {known}; data.fold is {number}.")
        return self.subset(self.folds[number])

    def own_groups(self) -> NDArray[np.int64]:
        """The groups, every image being its own where nothing else is known."""
        return np.arange(len(self)) if self.groups is None else self.groups

    def labelled_as(self, classes: tuple[str, ...]) -> "Images":
        """The same images with labels among the classes of a model; DataError if the model lacks one of theirs."""
        strangers = [name for name in self.classes if name not in classes]
        if strangers:
            raise DataError(
                f"{self.source} has classes that the model does not answer: {some(strangers)}; "
                f"it answers {some(classes)}."
            )
        numbers = np.array([classes.index(name) for name in self.classes], dtype=np.int64)
        return replace(self, classes=classes, labels=numbers[self.labels])


def joined(parts: Sequence[Images]) -> Images:
    """Sources of the same classes as one."""
    return Images(
        " + ".join(part.source for part in parts),
        parts[0].classes,
        np.concatenate([part.labels for part in parts]),
        [name for part in parts for name in part.names],
        _Joined([part.open for part in parts], np.cumsum([0] + [len(part) for part in parts])),
        _joined_groups(parts),
        left_out=sum((Counter(part.left_out) for part in parts), Counter()),
    )


def stratified_split(labels: NDArray[np.int64], share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the two parts of a random split that takes `share` of every class for the second part, but never a
    class's last image."""
    rng = np.random.default_rng(seed)
    second = [np.empty(0, np.int64)]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        second.append(members[: min(round(share * len(members)), len(members) - 1)])
    chosen = np.sort(np.concatenate(second))
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen


def split_by_group(
    labels: NDArray[np.int64], groups: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As `stratified_split`, but of whole groups: the second part takes `share` of every class's groups."""
    known, first = np.unique(groups, return_index=True)
    _, second = stratified_split(labels[first], share, seed)
    inside = np.isin(groups, known[second])
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def prepare_all(images: Images, spec: PixelSpec, *, title: str) -> NDArray[Any]:
    """Every image in the model's shape and dtype, (N, H, W, C); DataError names the unreadable ones."""
    prepared = np.empty((len(images), *spec.shape), dtype=spec.dtype)
    problems: list[str] = []
    for start, batch, troubles in _decoded(images, spec, title):
        prepared[start : start + len(batch)] = batch
        problems += troubles
    _refuse(problems, images)
    return prepared


def prepared_batches(images: Images, spec: PixelSpec, *, title: str) -> Iterator[NDArray[Any]]:
    """The images in the model's shape and dtype, up to 256 at a time, so that memory stays bounded; DataError names the
    first unreadable ones."""
    for _, batch, problems in _decoded(images, spec, title):
        _refuse(problems, images)
        yield batch


def check_all(images: Images, spec: PixelSpec, *, title: str) -> None:
    """Decode every image once; DataError names the unreadable ones."""
    _refuse([problem for _, _, problems in _decoded(images, spec, title) for problem in problems], images)


def some(items: Sequence[object], shown: int = 5) -> str:
    """The first few, and how many more there are."""
    rest = f" and {len(items) - shown} more" if len(items) > shown else ""
    return ", ".join(str(item) for item in items[:shown]) + rest


def counted(left_out: Mapping[str, int]) -> str:
    """How many files of each kind were not taken, for people; empty where all were."""
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(left_out.items(), key=lambda item: -item[1]))


def _joined_groups(parts: Sequence[Images]) -> NDArray[np.int64] | None:
    """Numbers that no two sources share."""
    if all(part.groups is None for part in parts):
        return None
    starts = np.cumsum([0] + [int(part.own_groups().max(initial=-1)) + 1 for part in parts])
    return np.concatenate([part.own_groups() + start for part, start in zip(parts, starts[:-1], strict=True)])


@dataclass(frozen=True)
class _Chosen:
    open: Opener
    indices: NDArray[np.int64]

    def __call__(self, index: int) -> Image.Image:
        return self.open(int(self.indices[index]))

    def digest(self, index: int) -> bytes:
        return content(self.open, int(self.indices[index]))

    def stored(self, index: int) -> bytes | None:
        return stored(self.open, int(self.indices[index]))


@dataclass(frozen=True)
class _Joined:
    openers: Sequence[Opener]
    starts: NDArray[np.int64]

    def __call__(self, index: int) -> Image.Image:
        part, inner = self._place(index)
        return self.openers[part](inner)

    def digest(self, index: int) -> bytes:
        part, inner = self._place(index)
        return content(self.openers[part], inner)

    def stored(self, index: int) -> bytes | None:
        part, inner = self._place(index)
        return stored(self.openers[part], inner)

    def _place(self, index: int) -> tuple[int, int]:
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return part, index - int(self.starts[part])


def _decoded(images: Images, spec: PixelSpec, title: str) -> Iterator[tuple[int, NDArray[Any], list[str]]]:
    """(first index, prepared images, problems) by chunks, decoded on all cores."""
    starts = range(0, len(images), _CHUNK)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in tracked(starts, title, len(starts)):
            chunk = range(start, min(start + _CHUNK, len(images)))
            batch = np.zeros((len(chunk), *spec.shape), dtype=spec.dtype)
            outcomes = pool.map(
                lambda i, batch=batch, start=start: _prepare_into(batch, i - start, images, spec, i), chunk
            )
            yield start, batch, [problem for problem in outcomes if problem]


def _prepare_into(batch: NDArray[Any], row: int, images: Images, spec: PixelSpec, index: int) -> str | None:
    try:
        batch[row] = prepare(images.taken(index, spec), spec)
    except Exception as error:  # Decoders raise whatever a broken file makes them; it is told by name.
        return f"{images.names[index]} ({str(error) or type(error).__name__})"
    return None


def _refuse(problems: Sequence[str], images: Images) -> None:
    if problems:
        raise DataError(
            f"{len(problems)} of {len(images)} images cannot be read: {some(problems)}. Remove or repair them."
        )
