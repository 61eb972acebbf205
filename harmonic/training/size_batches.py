"""Training on images of many sizes: each image has one fixed size, and all images of a batch share it.

Source: Rahman, Yeh, NeurIPS 2023: sizes in equal random groups, ideal down-scaling, random circular shifts before it.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from harmonic.data import Images, prepare_all
from harmonic.pixels import PixelSpec, resampler
from harmonic.training.augment import circular_shift, generator
from harmonic.training.balance import class_weights
from harmonic.training.recipe import Recipe

Key = tuple[int, int]


def scaled_loaders(
    recipe: Recipe, training: Images, validation: Images, spec: PixelSpec, sizes: tuple[int, int], *, workers: int = 0
) -> tuple[DataLoader[Any], DataLoader[Any] | None]:
    """Loaders of the training and the validation images, at sizes from the first to the last of `sizes`.

    workers: processes that resample, beside the one that trains.
    """
    kept: dict[str, Any] = {"num_workers": workers, "persistent_workers": workers > 0}
    batch, seed = recipe.train.batch, recipe.train.seed
    views = ScaledImages(training, spec, sizes, seed, shift=recipe.augment.circular_shift)
    draw = class_weights(training)[training.labels] if recipe.data.balance == "sampling" else None
    batches = SizeBatches(views.sizes, batch, seed, shuffled=True, draw=draw)
    train = DataLoader(views, batch_sampler=batches, **kept)
    if not len(validation):
        return train, None
    fixed = ScaledImages(validation, spec, sizes, seed, shift=0.0)
    return train, DataLoader(fixed, batch_sampler=SizeBatches(fixed.sizes, batch, seed, shuffled=False), **kept)


def assigned_sizes(count: int, sizes: tuple[int, int], seed: int) -> NDArray[np.int64]:
    """One size for every image: equal groups, in random order."""
    choices = np.arange(sizes[0], sizes[1] + 1)
    return np.random.default_rng(seed).permutation(np.resize(choices, count))


class ScaledImages(Dataset[tuple[NDArray[np.float32], int]]):
    """Images at their own size r by (epoch, index): float32 (r, r, C + 1), the last plane holding r, and the label."""

    def __init__(self, images: Images, spec: PixelSpec, sizes: tuple[int, int], seed: int, *, shift: float) -> None:
        self.pixels = prepare_all(images, spec, title="Reading images")[..., :-1]  # as served, without their own size
        self.labels, self.seed, self.shift = images.labels, seed, shift
        self.sizes = assigned_sizes(len(images), sizes, seed)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, key: Key) -> tuple[NDArray[np.float32], int]:
        epoch, index = key
        pixels = self.pixels[index]
        if self.shift:
            pixels = circular_shift(pixels, self.shift, generator(self.seed, epoch, index))
        return at_size(pixels, int(self.sizes[index])), int(self.labels[index])


def at_size(pixels: NDArray[Any], size: int) -> NDArray[np.float32]:
    """A square image (side, side, C) ideally resampled to size x size, with the plane that holds the size."""
    planes = resampler(pixels.shape[0], size)(pixels.transpose(2, 0, 1).astype(np.float64))
    own = np.full((1, size, size), size)
    return np.ascontiguousarray(np.concatenate([planes, own]).transpose(1, 2, 0), dtype=np.float32)


class SizeBatches(Sampler[list[Key]]):
    """Batches of (epoch, index) whose images share a size, in nearly equal parts of each size's images.

    draw: how often each image is drawn beside the others of its size, with replacement; None takes every one once.
    """

    def __init__(
        self,
        sizes: NDArray[np.int64],
        batch: int,
        seed: int,
        *,
        shuffled: bool,
        draw: NDArray[np.float64] | None = None,
    ) -> None:
        self.sizes, self.batch, self.seed, self.shuffled, self.draw, self.epoch = sizes, batch, seed, shuffled, draw, 0
        self.sampler = self  # where Lightning looks for `set_epoch`

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(len(_cuts(int((self.sizes == size).sum()), self.batch)) for size in np.unique(self.sizes))

    def __iter__(self) -> Iterator[list[Key]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        batches: list[Sequence[int]] = []
        for size in np.unique(self.sizes):
            members = np.flatnonzero(self.sizes == size)
            members = self._order(members, rng) if self.shuffled else members
            batches += [members[start:end].tolist() for start, end in _cuts(len(members), self.batch)]
        order = rng.permutation(len(batches)) if self.shuffled else range(len(batches))
        return iter([(self.epoch, index) for index in batches[place]] for place in order)

    def _order(self, members: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        if self.draw is None:
            return rng.permutation(members)
        return rng.choice(members, len(members), p=self.draw[members] / self.draw[members].sum())


def _cuts(count: int, batch: int) -> list[tuple[int, int]]:
    """Nearly equal parts of at most `batch`."""
    edges = np.linspace(0, count, -(-count // batch) + 1).round().astype(int).tolist()
    return list(pairwise(edges))
