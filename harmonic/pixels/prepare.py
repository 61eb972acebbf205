"""From any image to the array that a model takes: the only resize and crop, for training, evaluation and serving alike.

Knows numpy and Pillow; never torch. Normalisation is not done here: it stands inside the model's graph.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harmonic.errors import PixelError
from harmonic.pixels.formats import decoded
from harmonic.pixels.hair import remove_hair
from harmonic.pixels.resampling import own_size, to_largest
from harmonic.pixels.spec import PixelSpec
from harmonic.pixels.upright import Upright, resized, whole

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_FINEST = 16


def prepare(image: Image.Image | Upright | bytes, spec: PixelSpec) -> NDArray[Any]:
    """Bring an image into the model's shape.

    image: any size; the bytes of an encoded image, which are decoded as the spec says; or any image as `Upright`, or
    one that is upright already, of mode RGB (or one that Pillow converts to the spec's mode without alpha).
    `Upright(image)` and `upright_rgb(image)` give the same, the first in less memory.
    Returns `spec.shape` of `spec.dtype`, C-contiguous. An image that already has the shape keeps every pixel.
    PixelError for bytes that are no image, and for an image smaller than the spec's smallest.
    """
    if isinstance(image, bytes):
        image = decoded(image, spec)
    if spec.hair is not None:
        image = remove_hair(image if image.mode in ("RGB", "L") else whole(image).convert(spec.mode), spec.hair)
    if spec.fit == "spectral":
        return _spectral(image, spec)
    fitted = whole(_squash(image, spec) if spec.fit == "squash" else _crop(image, spec))
    pixels = np.asarray(fitted if fitted.mode == spec.mode else fitted.convert(spec.mode), dtype=np.uint8)
    return np.ascontiguousarray(pixels.reshape(spec.shape))


def _squash(image: Image.Image | Upright, spec: PixelSpec) -> Image.Image | Upright:
    if image.size == (spec.width, spec.height):
        return image
    return resized(image, (spec.width, spec.height), _FILTERS[spec.interpolation])


def _spectral(image: Image.Image | Upright, spec: PixelSpec) -> NDArray[np.float32]:
    side = min(image.size)
    if side < spec.smallest:
        raise PixelError(f"the image is {side} pixels high or wide; this model reads from {spec.smallest}.")
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    finest = _FINEST * spec.height
    # Far beyond what the model can see it is only averaged; the rest of the way is ideal.
    square = resized(image, (finest, finest), Image.Resampling.BOX, box) if side > finest else image.crop(box)
    square = square.convert(spec.mode)
    return with_own_size(np.asarray(square, dtype=np.float64).reshape(*square.size, spec.channels), spec.height)


def with_own_size(pixels: NDArray[np.float64], largest: int) -> NDArray[np.float32]:
    """Resample a square image (side, side, C) to `largest` pixels and add the plane with its own size."""
    planes = to_largest(pixels.transpose(2, 0, 1), largest)
    size = np.full((1, largest, largest), own_size(pixels.shape[0], largest))
    return np.ascontiguousarray(np.concatenate([planes, size]).transpose(1, 2, 0), dtype=np.float32)


def _crop(image: Image.Image | Upright, spec: PixelSpec) -> Image.Image | Upright:
    """Scale until the short side is `side / crop_fraction`, then cut the centre, with torchvision's rounding of both
    steps.

    The cut is mapped back to a box of the source and resampled from there in one go, so that an extreme aspect ratio
    (1 x 30,000 pixels) never makes a huge image in between. Pillow's filters look beyond the box, so nothing else
    changes.
    """
    scaled_width, scaled_height = spec.scaled(image.size)
    left, top = round((scaled_width - spec.width) / 2), round((scaled_height - spec.height) / 2)
    x, y = image.width / scaled_width, image.height / scaled_height
    box = (left * x, top * y, min((left + spec.width) * x, image.width), min((top + spec.height) * y, image.height))
    if image.size == (spec.width, spec.height) and box == (0, 0, *image.size):
        return image
    return resized(image, (spec.width, spec.height), _FILTERS[spec.interpolation], box)


def resampling(spec: PixelSpec) -> Image.Resampling:
    """Pillow's filter of a spec."""
    return _FILTERS[spec.interpolation]
