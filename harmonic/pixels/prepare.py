"""From any image to the array that a model takes: the only resize and crop, for training, evaluation and serving alike.

Knows numpy and Pillow; never torch. Normalisation is not done here: it stands inside the model's graph.
"""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from harmonic.errors import PixelError
from harmonic.pixels.hair import HairRemoval, remove_hair
from harmonic.pixels.resampling import own_size, to_largest
from harmonic.pixels.upright import Upright, check_range, resized, upright_rgb, whole

__all__ = ["PixelSpec", "Upright", "check_range", "prepare", "upright_rgb", "with_own_size"]

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_FINEST = 16
_Side = Annotated[int, Field(ge=1, le=4096)]
_Channels = Annotated[tuple[FiniteFloat, ...], Field(min_length=1, max_length=3)]


class PixelSpec(BaseModel):
    """What a model wants to see; it travels with the weights.

    height, width: pixels of the model's input.
    mode: "RGB" (3 channels) or "L" (1 channel).
    fit: "crop" scales the short side to `side / crop_fraction` and cuts the centre; "squash" scales both sides freely;
    "spectral" cuts the central square and resamples it ideally, without loss for images up to the model's size, and
    adds a plane that holds the image's own size in pixels (`smallest` to `height`), so that a batch may mix sizes.
    smallest: of the images that "spectral" accepts.
    crop_fraction: share of the scaled short side that the crop keeps (0.875: 256 -> 224).
    interpolation: Pillow's filter; always antialiased.
    mean, std: per channel, in units of 1 (white = 1); applied inside the model's graph to pixels / 255.
    hair: remove hair before anything else (skin photographs); None leaves every image as it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: _Side
    width: _Side
    mode: Literal["RGB", "L"] = "RGB"
    fit: Literal["crop", "squash", "spectral"] = "crop"
    smallest: _Side = 1
    crop_fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"
    mean: _Channels = (0.485, 0.456, 0.406)
    std: _Channels = (0.229, 0.224, 0.225)
    hair: HairRemoval | None = None

    @model_validator(mode="after")
    def _one_figure_per_channel(self) -> "PixelSpec":
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(
                f"mode {self.mode} wants {self.channels} means and stds, not {len(self.mean)} and {len(self.std)}"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std}")
        if self.fit == "spectral" and not self.smallest <= self.height == self.width:
            raise ValueError(f"fit 'spectral' is for squares from {self.smallest}, not {self.height} x {self.width}")
        return self

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for L."""
        return len(self.mode)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, planes of a prepared image: its channels, and its own size where `fit` is "spectral"."""
        return (self.height, self.width, self.channels + (self.fit == "spectral"))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a prepared image: uint8, or float32 where resampling leaves values between and beyond the 256 levels."""
        return np.dtype(np.float32 if self.fit == "spectral" else np.uint8)


def prepare(image: Image.Image | Upright, spec: PixelSpec) -> NDArray[Any]:
    """Bring an upright image into the model's shape.

    image: any size; any image as `Upright`, or one that is upright already, of mode RGB (or one that Pillow converts to
    the spec's mode without alpha). `Upright(image)` and `upright_rgb(image)` give the same, the first in less memory.
    Returns `spec.shape` of `spec.dtype`, C-contiguous. An image that already has the shape keeps every pixel.
    PixelError for an image smaller than the spec's smallest.
    """
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
    scaled_width, scaled_height = _covering_size(
        image, round(spec.width / spec.crop_fraction), round(spec.height / spec.crop_fraction)
    )
    left, top = round((scaled_width - spec.width) / 2), round((scaled_height - spec.height) / 2)
    x, y = image.width / scaled_width, image.height / scaled_height
    box = (left * x, top * y, min((left + spec.width) * x, image.width), min((top + spec.height) * y, image.height))
    if image.size == (spec.width, spec.height) and box == (0, 0, *image.size):
        return image
    return resized(image, (spec.width, spec.height), _FILTERS[spec.interpolation], box)


def _covering_size(image: Image.Image | Upright, width: int, height: int) -> tuple[int, int]:
    """The smallest size of the image's own aspect ratio that covers width x height."""
    if image.width * height <= image.height * width:
        return width, width * image.height // image.width
    return height * image.width // image.height, height


def resampling(spec: PixelSpec) -> Image.Resampling:
    """Pillow's filter of a spec."""
    return _FILTERS[spec.interpolation]
