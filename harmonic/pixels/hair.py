"""Hair removal for skin photographs: find thin dark lines, fill them from the skin beside them.

Knows numpy and Pillow, no torch, and nothing of models. Deterministic, and bounded in time whatever comes in.
After Lee, Ng, Gallagher, Coldman, McLean, "DullRazor", Computers in Biology and Medicine 1997: grey closings along
lines of several directions, a threshold, a test that what they fill is long and thin, a fill from clean neighbours.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from harmonic.pixels.upright import Upright, resized, whole

_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
_LONGER = 1.5  # A hair's straight runs, in lengths of the closings' lines: no spot that a closing fills is as long.
_TURNS = 0.75  # Directions of runs for each of their pixels.


class HairRemoval(BaseModel):
    """How to remove hair; stored with the model, since its answers depend on it.

    length: of the line elements, as a share of the image's height; hairs up to about half of it are found.
    threshold: how much brighter (of 255) a closing must make a hair.
    working_side: larger images are first reduced until neither side exceeds this many pixels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: Annotated[float, Field(gt=0, le=0.25)] = 0.04
    threshold: Annotated[int, Field(ge=1, le=254)] = 12
    working_side: Annotated[int, Field(ge=16, le=1024)] = 600


def remove_hair(image: Image.Image | Upright, spec: HairRemoval) -> Image.Image:
    """Fill thin dark lines of an RGB or grey image. The result has at most `working_side` pixels a side."""
    image = whole(_reduced(image, spec.working_side))
    pixels = np.asarray(image)
    reach = max(1, round(spec.length * image.height / 2))
    mask = _thin_dark_lines(pixels, reach, spec.threshold)
    return Image.fromarray(_filled(pixels, mask, reach)) if mask.any() else image


def _reduced(image: Image.Image | Upright, side: int) -> Image.Image | Upright:
    if max(image.size) <= side:
        return image
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    return resized(image, (width, height), Image.Resampling.BILINEAR)


def _thin_dark_lines(pixels: NDArray[np.uint8], reach: int, threshold: int) -> NDArray[np.bool_]:
    """Pixels that some closing fills, where they make a long straight run in some direction.

    A round dark spot that closings fill is shorter than such a run, and a lesion's border is filled by none: neither
    is hair.
    """
    filled = pixels
    for direction in _DIRECTIONS:
        filled = np.maximum(filled, _closing(pixels, direction, reach))
    dark: NDArray[np.bool_] = filled - pixels > threshold
    return _in_long_runs(np.any(dark, axis=2) if dark.ndim == 3 else dark, reach)


def _in_long_runs(dark: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Those of the pixels that lie, within one pixel, on a straight run longer than the closings' lines."""
    length = round(_LONGER * (2 * reach + 3))
    near = _near(dark)
    # A run may swerve by the pixel on either side that `near` adds: enough directions that none falls between two.
    count = 4 * max(2, round(_TURNS * length / 4))
    kept = np.zeros_like(dark)
    for turn in range(count):
        angle = np.pi * turn / count
        across, down = np.cos(angle), np.sin(angle)
        scale = max(abs(across), abs(down))  # every step to the next pixel along the longer axis
        kept |= _opened(near, (down / scale, across / scale), length)
    return kept & dark


def _near(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels and their eight neighbours."""
    rows = mask | _shifted(mask, -1, 0) | _shifted(mask, 1, 0)
    return rows | _shifted(rows, 0, -1) | _shifted(rows, 0, 1)


def _opened(mask: NDArray[np.bool_], step: tuple[float, float], length: int) -> NDArray[np.bool_]:
    """Binary opening by a straight run of `length` steps: the runs that fit, and nothing else."""
    fits = _along_run(np.logical_and, mask, step, length)
    return _along_run(np.logical_or, fits, (-step[0], -step[1]), length)


def _along_run(combine: np.ufunc, mask: NDArray[np.bool_], step: tuple[float, float], length: int) -> NDArray[np.bool_]:
    """Every pixel combined with those that follow it along a run, in a number of operations that grows with the
    logarithm of its length. Nothing lies outside the image."""
    done, result = 1, mask
    while done < length:
        more = min(done, length - done)
        result = combine(result, _shifted(result, round(more * step[0]), round(more * step[1])))
        done += more
    return result


def _shifted(mask: NDArray[np.bool_], down: int, across: int) -> NDArray[np.bool_]:
    """mask[y + down, x + across], False outside."""
    rows, columns = mask.shape
    moved = np.zeros_like(mask)
    if abs(down) < rows and abs(across) < columns:
        moved[max(0, -down) : rows - max(0, down), max(0, -across) : columns - max(0, across)] = mask[
            max(0, down) : rows + min(0, down), max(0, across) : columns + min(0, across)
        ]
    return moved


def _closing(pixels: NDArray[np.uint8], direction: tuple[int, int], reach: int) -> NDArray[np.uint8]:
    """Grey closing: the largest value along a line, then the smallest of those."""
    steps = reach if 0 in direction else max(1, round(reach / np.sqrt(2)))
    brightest = _along(np.maximum, pixels, direction, steps)
    return _along(np.minimum, brightest, direction, steps)


def _along(extreme: np.ufunc, pixels: NDArray[np.uint8], direction: tuple[int, int], steps: int) -> NDArray[np.uint8]:
    rows, columns = pixels.shape[:2]
    padded = np.pad(pixels, ((steps, steps), (steps, steps)) + ((0, 0),) * (pixels.ndim - 2), mode="edge")
    result = pixels
    for step in range(-steps, steps + 1):
        top, left = steps + step * direction[0], steps + step * direction[1]
        result = extreme(result, padded[top : top + rows, left : left + columns])
    return result


def _filled(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], reach: int) -> NDArray[np.uint8]:
    """Replace masked pixels by the mean of the clean ones around them; where there are none, leave them."""
    clean = ~mask
    weights = clean[..., None] if pixels.ndim == 3 else clean
    total, count = _box_sum(pixels * weights, 2 * reach), _box_sum(clean, 2 * reach)
    count = count[..., None] if pixels.ndim == 3 else count
    means = np.rint(total / np.maximum(count, 1)).astype(np.uint8)
    return np.where(weights | (count == 0), pixels, means)


def _box_sum(values: NDArray[np.generic], reach: int) -> NDArray[np.int64]:
    """Sum over a square of 2 * reach + 1 pixels around each, cut at the border, by two running sums."""
    sums = values.astype(np.int64)
    for axis in (0, 1):
        size = sums.shape[axis]
        running = np.concatenate([np.zeros_like(sums.take([0], axis)), sums.cumsum(axis)], axis)
        upper, lower = np.minimum(np.arange(size) + reach + 1, size), np.maximum(np.arange(size) - reach, 0)
        sums = running.take(upper, axis) - running.take(lower, axis)
    return sums
