"""Batches for training: random views of images in a random order, both drawn from (seed, epoch) alone."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from harmonic.cores import usable_cores
from harmonic.data import Images, check_all, prepare_all, split_by_group
from harmonic.errors import DataError, DeviceError, RecipeError
from harmonic.pixels import PixelSpec, prepare
from harmonic.training.augment import augment, generator, random_resized_crop
from harmonic.training.balance import class_weights
from harmonic.training.recipe import Recipe
from harmonic.training.sharing import ALONE, Share
from harmonic.training.size_batches import SizeBatches, assigned_sizes, scaled_loaders

_CACHED_BYTES = 4 << 30  # Prepared images up to this size are kept in memory.
_FLIPS = 2**63  # in an image's place, and larger than any number of one: which images are mirrored in the first epoch


def split(recipe: Recipe, images: Images, validation: Images | None = None) -> tuple[Images, Images]:
    """Training and validation images: `validation`, or the recipe's share of the images; no group is in both."""
    images = images if recipe.data.fold is None else images.fold(recipe.data.fold)
    images = limited(images, recipe.data.limit, recipe.train.seed)
    if validation is None:
        kept, held_out = split_by_group(images.labels, images.own_groups(), recipe.data.validation, recipe.train.seed)
        images, validation = images.subset(kept), images.subset(held_out)
    if len(images) < recipe.train.batch:
        raise DataError(
            f"{len(images)} training images do not fill one batch of {recipe.train.batch}. "
            "Lower train.batch or add images."
        )
    return images, validation


def loaders(
    recipe: Recipe, training: Images, validation: Images, spec: PixelSpec, share: Share = ALONE
) -> tuple[DataLoader[Any], DataLoader[Any] | None]:
    """Loaders of the training images and, where there are any, of the validation images.

    Every image is decoded here once, so that unreadable ones are told before the first epoch; in a distributed run by
    the first process, for all. A batch of the recipe is split among the processes, and so are the validation images.
    """
    if recipe.train.batch % share.world or recipe.train.batch < 2 * share.world:
        raise DeviceError(f"a batch of {recipe.train.batch} cannot be shared by {share.world} devices. Change either.")
    if (recipe.data.sizes is not None) != (spec.fit == "spectral"):
        raise RecipeError('data.sizes belongs to architectures whose pixels are fitted "spectral", and they need it.')
    if recipe.data.sizes is not None:
        if share.world > 1:
            raise DeviceError("batches of one size are made by a single process. Train on one device.")
        return scaled_loaders(recipe, training, validation, spec, recipe.data.sizes, workers=_workers(True, share))
    held_out = _validation_loader(validation, spec, share) if len(validation) else None
    return _training_loader(recipe, training, spec, share), held_out


def steps(recipe: Recipe, images: int) -> int:
    """Batches in an epoch of that many training images."""
    if recipe.data.sizes is None:
        return images // recipe.train.batch
    return len(SizeBatches(assigned_sizes(images, recipe.data.sizes, 0), recipe.train.batch, 0, shuffled=True))


def limited(images: Images, limit: int | None, seed: int) -> Images:
    """As many images as `data.limit` of a recipe says, of every class its share; all where it says nothing."""
    if limit is None or limit >= len(images):
        return images
    return images.subset(split_by_group(images.labels, images.own_groups(), limit / len(images), seed)[1])


def _training_loader(recipe: Recipe, images: Images, spec: PixelSpec, share: Share) -> DataLoader[Any]:
    whole = recipe.augment.random_resized_crop == 1
    dataset = _Views(images, spec, recipe, _kept(images, spec, share, whole, "training"))
    draw = class_weights(images)[images.labels] / len(images) if recipe.data.balance == "sampling" else None
    sampler = EpochSampler(len(images), recipe.train.batch, recipe.train.seed, draw, share)
    workers = _workers(dataset.prepared is not None, share)
    return _loader(dataset, recipe.train.batch // share.world, sampler, workers, drop_last=True)


def _validation_loader(images: Images, spec: PixelSpec, share: Share) -> DataLoader[Any]:
    dataset = _Prepared(images, spec, _kept(images, spec, share, True, "validation"))
    # A process without images would have no figures to add to those of the others, who would wait for them.
    mine = range(share.rank, len(images), share.world) if len(images) >= share.world else range(len(images))
    return _loader(dataset, 256, mine, _workers(dataset.prepared is not None, share), drop_last=False)


def _kept(images: Images, spec: PixelSpec, share: Share, wanted: bool, what: str) -> NDArray[Any] | None:
    """The prepared images, where that is wanted and they are few enough to be kept; the others are checked."""
    keep = wanted and len(images) * math.prod(spec.shape) * spec.dtype.itemsize <= _CACHED_BYTES
    if share.helps:
        return share.taken_over(what) if keep else None
    if keep:
        return share.hand_over(what, prepare_all(images, spec, title=f"Reading {what} images"))
    check_all(images, spec, title=f"Checking {what} images")
    return None


def _workers(in_memory: bool, share: Share) -> int:
    """Processes that make batches: none where the images are in memory and the CPU has the arithmetic to do, which
    they would only slow down; else this process's part of the cores."""
    return 0 if in_memory and not share.busy else max(usable_cores() // share.world, 1)


def _loader(
    dataset: Dataset[Any], batch: int, sampler: Sampler[Any] | Iterable[int], workers: int, *, drop_last: bool
) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        batch,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        drop_last=drop_last,
        pin_memory=torch.cuda.is_available(),
    )


class _Prepared(Dataset[tuple[NDArray[Any], int]]):
    """Images as they are evaluated, by index."""

    def __init__(self, images: Images, spec: PixelSpec, prepared: NDArray[Any] | None) -> None:
        self.images, self.spec, self.prepared = images, spec, prepared

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], int]:
        return self.pixels(index), int(self.images.labels[index])

    def pixels(self, index: int) -> NDArray[Any]:
        """One prepared image, (H, W, C)."""
        if self.prepared is not None:
            kept: NDArray[Any] = self.prepared[index]
            return kept
        # A copy: Pillow's memory is read-only, a tensor's is not.
        return prepare(self.images.taken(index, self.spec), self.spec).copy()


class _Views(Dataset[tuple[NDArray[Any], int]]):
    """Augmented training images by (epoch, index)."""

    def __init__(self, images: Images, spec: PixelSpec, recipe: Recipe, prepared: NDArray[Any] | None) -> None:
        self.images, self.spec, self.recipe, self.prepared = images, spec, recipe, prepared
        self.plain = _Prepared(images, spec, prepared)
        alternating = recipe.augment.flip == "alternating"
        self.first = generator(recipe.train.seed, 0, _FLIPS).random(len(images)) < 0.5 if alternating else None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> tuple[NDArray[Any], int]:
        epoch, index = key
        section, rng = self.recipe.augment, generator(self.recipe.train.seed, epoch, index)
        if section.random_resized_crop == 1:
            pixels = self.plain.pixels(index)
        else:
            pixels = random_resized_crop(self.images.taken(index, self.spec), self.spec, section, rng)
        mirrored = None if self.first is None else bool(self.first[index]) == (epoch % 2 == 0)
        return augment(pixels, section, rng, mirrored), int(self.images.labels[index])


class EpochSampler(Sampler[tuple[int, int]]):
    """(epoch, index) in an order drawn from (seed, epoch), as many as fill whole batches; every process of a
    distributed run takes its share. draw: probability of each index, drawn with replacement; None takes every index
    once."""

    def __init__(
        self,
        count: int,
        batch: int,
        seed: int,
        draw: NDArray[np.float64] | None = None,
        share: Share = ALONE,
    ) -> None:
        self.count, self.batch, self.seed, self.draw, self.share, self.epoch = count, batch, seed, draw, share, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // self.batch * self.batch // self.share.world

    def __iter__(self) -> Iterator[tuple[int, int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(self.count) if self.draw is None else rng.choice(self.count, self.count, p=self.draw)
        mine = order[self.share.rank :: self.share.world][: len(self)]
        return iter((self.epoch, int(index)) for index in mine)
