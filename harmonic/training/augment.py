"""Random views of training images. Every draw comes from (seed, epoch, index), so a resumed run sees what an unbroken
one saw."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from torchvision.transforms import v2

from harmonic.pixels import PixelSpec, decoded, remove_hair, resampling, resized, upright_size
from harmonic.training.recipe import AugmentSection

Pixels = NDArray[np.uint8]


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The source of all randomness of one image in one epoch."""
    return np.random.default_rng((seed, epoch, index))


def augment(pixels: Pixels, section: AugmentSection, rng: np.random.Generator, mirrored: bool | None = None) -> Pixels:
    """Augment one prepared image, (H, W, C) in and out. mirrored: whether it is, where no chance decides that."""
    if section.rotation:
        pixels = _rotated(pixels, section.rotation, rng)
    if section.pad_crop:
        pixels = _pad_crop(pixels, section.pad_crop, rng)
    if section.flip and (rng.random() < 0.5 if mirrored is None else mirrored):
        pixels = pixels[:, ::-1]
    if section.quarter_turns:
        pixels = np.rot90(pixels, int(rng.integers(4)))
    if section.color_jitter:
        pixels = _jittered(pixels, section.color_jitter, rng)
    if section.randaugment:
        pixels = _randaugmented(pixels, section.randaugment, rng)
    if section.cutout:
        pixels = _cutout(pixels, section.cutout, rng)
    return np.require(pixels, requirements=["C", "W"])  # Pillow's memory is read-only, a tensor's is not.


def random_resized_crop(
    image: Image.Image | bytes, spec: PixelSpec, section: AugmentSection, rng: np.random.Generator
) -> Pixels:
    """Cut a random box of at least a share of the area, aspect 3/4 to 4/3, and scale it to the model's size
    (Szegedy 2015).

    image: upright RGB, or encoded. What is cut is what the model is served: hair is gone first, the aspect is that
    which an object would have in the model's input (where that squashes the image, so do the boxes), the filter is the
    input's own, and an encoded image is decoded at the scale that the spec has for what is as large as the box.
    """
    if spec.hair is not None:
        image = remove_hair(decoded(image, spec) if isinstance(image, bytes) else image, spec.hair)
    size = upright_size(image) if isinstance(image, bytes) else image.size
    box = _random_box(size, _square(size, spec), section.random_resized_crop, rng)
    way = resampling(spec)
    if section.interpolation == "random":
        way = Image.Resampling.BICUBIC if rng.random() < 0.5 else Image.Resampling.BILINEAR
    left, top, right, bottom = box
    picture = decoded(image, spec, (right - left, bottom - top)) if isinstance(image, bytes) else image
    cut = resized(picture, (spec.width, spec.height), way, box)
    return np.asarray(cut.convert(spec.mode), dtype=np.uint8).reshape(spec.shape)


def _random_box(
    size: tuple[int, int], square: float, least: float, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom. square: width over height of a box that distorts nothing. least: share of the area."""
    for _ in range(10):
        area = size[0] * size[1] * rng.uniform(least, 1)
        aspect = square * math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= size[0] and 0 < height <= size[1]:
            left, top = int(rng.integers(size[0] - width + 1)), int(rng.integers(size[1] - height + 1))
            return left, top, left + width, top + height
    # An image that no such box fits: take the largest one in the middle that distorts nothing.
    width = max(1, min(size[0], round(size[1] * square)))
    height = max(1, min(size[1], round(width / square)))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _square(size: tuple[int, int], spec: PixelSpec) -> float:
    """Width over height of the box that fills the model's input with objects of the same shape as when served."""
    return size[0] / size[1] if spec.fit == "squash" else spec.width / spec.height


def circular_shift(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Roll 7 of 10 images by up to `share` of each side; what leaves on one side comes back on the other."""
    if rng.random() >= 0.7:
        return pixels
    reach = (round(share * pixels.shape[0]), round(share * pixels.shape[1]))
    return np.roll(pixels, tuple(int(rng.integers(-r, r + 1)) for r in reach), axis=(0, 1))


def _rotated(pixels: Pixels, degrees: float, rng: np.random.Generator) -> Pixels:
    turned = _picture(pixels).rotate(rng.uniform(-degrees, degrees), Image.Resampling.BILINEAR)
    return np.asarray(turned).reshape(pixels.shape)


def _jittered(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    picture = _picture(pixels)
    for change in rng.permutation(3):
        enhance = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)[change]
        picture = enhance(picture).enhance(rng.uniform(1 - strength, 1 + strength))
    return np.asarray(picture).reshape(pixels.shape)


def _randaugmented(pixels: Pixels, strength: int, rng: np.random.Generator) -> Pixels:
    """By torchvision, which draws from PyTorch's generator. What comes in from outside is the mean grey."""
    change = v2.RandAugment(num_ops=2, magnitude=strength, num_magnitude_bins=31, fill=128)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        changed: torch.Tensor = change(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1))
    return changed.permute(1, 2, 0).numpy()


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _pad_crop(pixels: Pixels, border: int, rng: np.random.Generator) -> Pixels:
    top, left = rng.integers(2 * border + 1, size=2)
    padded = np.pad(pixels, ((border, border), (border, border), (0, 0)), mode="reflect")
    return padded[top : top + pixels.shape[0], left : left + pixels.shape[1]]


def _cutout(pixels: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """Grey out a square centred anywhere in the image (DeVries and Taylor 2017)."""
    top, left = (int(rng.integers(length)) - side // 2 for length in pixels.shape[:2])
    cut = pixels.copy()
    cut[max(top, 0) : top + side, max(left, 0) : left + side] = 128
    return cut
