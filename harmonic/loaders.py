"""Batches for training: random views of images in a random order, both drawn from (seed, epoch) alone."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from harmonic.augment import augment, generator, random_resized_crop
from harmonic.data import Images, prepare_all, split_by_group
from harmonic.errors import DataError
from harmonic.pixels import PixelSpec
from harmonic.recipe import Recipe

_CACHED_BYTES = 4 << 30  # Prepared images up to this size are kept in memory.


def split(recipe: Recipe, images: Images) -> tuple[Images, Images]:
    """The images that teach and, by the recipe's share, those that choose the epoch; no group is in both."""
    learning, choosing = split_by_group(images.labels, images.own_groups(), recipe.data.validation, recipe.train.seed)
    if len(learning) < recipe.train.batch:
        raise DataError(
            f"{len(learning)} training images do not fill one batch of {recipe.train.batch}. "
            "Lower train.batch or add images."
        )
    return images.subset(learning), images.subset(choosing)


def loaders(
    recipe: Recipe, learning: Images, choosing: Images, spec: PixelSpec
) -> tuple[DataLoader[Any], DataLoader[Any] | None]:
    """Loaders of the training images and, where there are any, of the validation images."""
    return _training_loader(recipe, learning, spec), _choosing_loader(choosing, spec)


def class_weights(images: Images) -> NDArray[np.float64]:
    """1 / frequency of every class, scaled so that the mean over the images is 1; 0 for a class without images."""
    counts = np.bincount(images.labels, minlength=len(images.classes))
    present = int((counts > 0).sum())
    return np.divide(len(images), counts * present, out=np.zeros(len(counts)), where=counts > 0)


def _training_loader(recipe: Recipe, images: Images, spec: PixelSpec) -> DataLoader[Any]:
    cached = recipe.augment.random_resized_crop == 1.0 and len(images) * int(np.prod(spec.shape)) <= _CACHED_BYTES
    prepared = prepare_all(images, spec, title="Reading training images") if cached else None
    draw = class_weights(images)[images.labels] / len(images) if recipe.data.balance == "sampling" else None
    sampler = EpochSampler(len(images), recipe.train.batch, recipe.train.seed, draw)
    workers = 0 if cached else len(os.sched_getaffinity(0))
    return DataLoader(
        _Views(images, spec, recipe, prepared), recipe.train.batch, sampler=sampler, num_workers=workers, drop_last=True
    )


def _choosing_loader(images: Images, spec: PixelSpec) -> DataLoader[Any] | None:
    if not len(images):
        return None
    prepared = torch.from_numpy(prepare_all(images, spec, title="Reading validation images"))
    return DataLoader(TensorDataset(prepared, torch.from_numpy(images.labels)), 256)


class _Views(Dataset[tuple[NDArray[np.uint8], int]]):
    """Augmented training images by (epoch, index)."""

    def __init__(self, images: Images, spec: PixelSpec, recipe: Recipe, prepared: NDArray[np.uint8] | None) -> None:
        self.images, self.spec, self.recipe, self.prepared = images, spec, recipe, prepared

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> tuple[NDArray[np.uint8], int]:
        epoch, index = key
        section, rng = self.recipe.augment, generator(self.recipe.train.seed, epoch, index)
        if self.prepared is not None:
            pixels = self.prepared[index]
        else:
            pixels = random_resized_crop(self.images.open(index), self.spec, section.random_resized_crop, rng)
        return augment(pixels, section, rng), int(self.images.labels[index])


class EpochSampler(Sampler[tuple[int, int]]):
    """(epoch, index) in an order drawn from (seed, epoch); every process of a distributed run takes its share of
    whole batches. draw: probability of each index, drawn with replacement; None takes every index once."""

    def __init__(self, count: int, batch: int, seed: int, draw: NDArray[np.float64] | None = None) -> None:
        self.count, self.batch, self.seed, self.draw, self.epoch = count, batch, seed, draw, 0
        self.rank, self.world = 0, 1

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // (self.batch * self.world) * self.batch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(self.count) if self.draw is None else rng.choice(self.count, self.count, p=self.draw)
        mine = order[self.rank :: self.world][: len(self)]
        return iter((self.epoch, int(index)) for index in mine)
