"""What a user's images are: how many of each class, which cannot be read, which are copies of each other.

Copies are what is the same picture saved again: another size, another quality, another format.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64, UInt8
from numpy import ndarray
from PIL import Image

from harmonic.cores import usable_cores
from harmonic.data import Images, some, tracked
from harmonic.errors import DataError

_SIDE = 32  # of the thumbnails that are compared
_BITS = 3  # hashes of copies differ in at most so many of their 64
_CROWD = 1000  # more pictures that are alike by their hashes are not compared pair by pair
_LEVELS = 4.0  # mean difference of the thumbnails of copies, of 255 levels
FEW = 10  # images of a class: fewer are said


@dataclass(frozen=True, slots=True)
class Survey:
    """images: those that can be read; copies are of one group. unreadable: names, and why. copies: indices of images
    that show the same. contradictory: those among them that have different classes. sizes: (n, 2), width and height.
    """

    images: Images
    unreadable: tuple[str, ...]
    copies: tuple[tuple[int, ...], ...]
    contradictory: tuple[tuple[int, ...], ...]
    sizes: Int64[ndarray, "n 2"]

    @property
    def counts(self) -> Int64[ndarray, " classes"]:
        """Images of each class."""
        return np.bincount(self.images.labels, minlength=len(self.images.classes))

    def names(self, indices: Sequence[int]) -> list[str]:
        """What images are called, with their classes."""
        return [f"{self.images.names[i]} ({self.images.classes[self.images.labels[i]]})" for i in indices]


@dataclass(frozen=True, slots=True)
class _Seen:
    width: int
    height: int
    thumbnail: UInt8[ndarray, "side side 3"]


def survey(images: Images) -> Survey:
    """Look at every image once. DataError where what can be read is no material: a class of one image, or of none."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        looked = list(
            tracked(pool.map(lambda i: _look(images, i), range(len(images))), "Looking at images", len(images))
        )
    kept = np.array([i for i, seen in enumerate(looked) if isinstance(seen, _Seen)], np.int64)
    unreadable = tuple(seen for seen in looked if isinstance(seen, str))
    seen = [one for one in looked if isinstance(one, _Seen)]
    _must_be_enough(images, kept, unreadable)
    good = images.subset(kept)
    groups = _joined(alike(np.stack([one.thumbnail for one in seen])), good.groups)
    good = replace(good, groups=groups)
    copies = tuple(tuple(map(int, np.flatnonzero(groups == g))) for g in np.flatnonzero(np.bincount(groups) > 1))
    if images.groups is not None:  # what the data set itself calls one thing may be several pictures
        copies = ()
    contradictory = tuple(group for group in copies if len({int(good.labels[i]) for i in group}) > 1)
    _must_be_judged(good)
    sizes = np.array([(one.width, one.height) for one in seen], np.int64)
    return Survey(good, unreadable, copies, contradictory, sizes)


def _look(images: Images, index: int) -> _Seen | str:
    try:
        image = images.open(index)
        small = image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    except Exception as error:  # decoders raise whatever a broken file makes them; it is told by name
        return f"{images.names[index]} ({str(error) or type(error).__name__})"
    return _Seen(image.width, image.height, np.asarray(small))


def _must_be_enough(images: Images, kept: Int64[ndarray, " n"], unreadable: Sequence[str]) -> None:
    counts = np.bincount(images.labels[kept], minlength=len(images.classes))
    lost = [name for name, count in zip(images.classes, counts, strict=True) if not count]
    if lost:
        raise DataError(
            f"no image of {some(lost)} can be read: {some(unreadable)}. Repair the files, or take the class away."
        )


def _must_be_judged(images: Images) -> None:
    """Every class needs an image to learn from while another one judges; copies of one picture are one."""
    alone = [
        name
        for label, name in enumerate(images.classes)
        if len(np.unique(images.own_groups()[images.labels == label])) < 2
    ]
    if alone:
        raise DataError(
            f"{some(alone)}: a single image (or copies of one), so nothing is left to judge the classifier by. "
            "Wanted two different ones at least in every class; twenty or more make it a classifier."
        )


def alike(thumbnails: UInt8[ndarray, "n side side 3"]) -> Int64[ndarray, " n"]:
    """A number for every image, the same for copies: those whose hashes and thumbnails nearly agree."""
    hashes = _hashes(thumbnails)
    group = np.arange(len(hashes))
    for shift in range(0, 64, 16):  # of hashes that differ in three bits, one quarter is equal
        quarter = (hashes >> np.uint64(shift)) & np.uint64(0xFFFF)
        order = np.argsort(quarter, kind="stable")
        for block in np.split(order, np.flatnonzero(np.diff(quarter[order])) + 1):
            _unite(block, hashes, thumbnails, group)
    return _numbered(group)


def _unite(
    block: Int64[ndarray, " m"],
    hashes: ndarray,
    thumbnails: UInt8[ndarray, "n side side 3"],
    group: Int64[ndarray, " n"],
) -> None:
    if len(block) > _CROWD:  # flat pictures, or one picture again and again: told apart by their thumbnails alone
        same: dict[bytes, int] = {}
        for one in block:
            _link(group, same.setdefault(thumbnails[one].tobytes(), int(one)), int(one))
        return
    for place, one in enumerate(block[:-1]):
        others = block[place + 1 :]
        others = others[group[others] != group[one]]
        near = others[_differing(hashes[others] ^ hashes[one]) <= _BITS]
        if not len(near):
            continue
        apart = np.abs(thumbnails[near].astype(np.int16) - thumbnails[one]).mean(axis=(1, 2, 3))
        for other in near[apart <= _LEVELS]:
            _link(group, int(one), int(other))


def _link(group: Int64[ndarray, " n"], one: int, other: int) -> None:
    first, second = sorted((_root(group, one), _root(group, other)))
    group[second] = first
    group[[one, other]] = first  # short ways to the root


def _numbered(group: Int64[ndarray, " n"]) -> Int64[ndarray, " n"]:
    """Numbers of the groups from 0, by their first images."""
    return np.unique([_root(group, i) for i in range(len(group))], return_inverse=True)[1].astype(np.int64)


def _root(group: Int64[ndarray, " n"], index: int) -> int:
    while group[index] != index:
        index = int(group[index])
    return index


def _hashes(thumbnails: UInt8[ndarray, "n side side 3"]) -> ndarray:
    """64 bits an image: the signs of the 8x8 lowest frequencies of its brightness, about their median."""
    side = np.arange(_SIDE)
    basis = np.cos(np.pi * (side[None] + 0.5) * np.arange(1, 9)[:, None] / _SIDE)
    grey = thumbnails.mean(axis=3, dtype=np.float32)
    low = np.einsum("ur,nrc,vc->nuv", basis, grey, basis).reshape(len(grey), 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def _differing(bits: ndarray) -> ndarray:
    """How many bits are set, of each number."""
    return np.asarray(np.unpackbits(bits[:, None].view(np.uint8), axis=1).sum(axis=1))


def _joined(found: Int64[ndarray, " n"], own: Int64[ndarray, " n"] | None) -> Int64[ndarray, " n"]:
    """Groups that hold together what either of two groupings does."""
    if own is None:
        return found
    group = np.arange(len(found))
    for numbers in (found, own):
        _, first, place = np.unique(numbers, return_index=True, return_inverse=True)
        for index, leader in enumerate(first[place]):
            _link(group, int(leader), index)
    return _numbered(group)
