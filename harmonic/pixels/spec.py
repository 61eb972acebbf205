"""What a model wants to see, as a record that travels with its weights.

Knows the fields and what they must not contradict; opens no image.
"""

from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from harmonic.errors import PixelError, sentence
from harmonic.pixels.hair import HairRemoval

_Side = Annotated[int, Field(ge=1, le=4096)]
JpegScale = Literal["full", "reduced"]
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
    jpeg_scale: "full" decodes every pixel of a JPEG; "reduced" decodes one that is much larger than what the model sees
    at a half, a quarter or an eighth of its sides. That is several times faster, and moves pixels by a level or two, so
    it belongs to the model: `harmonic.pixels.reduction` says when.
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
    jpeg_scale: JpegScale = "full"

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
        if self.fit == "spectral" and self.jpeg_scale != "full":
            raise ValueError("fit 'spectral' resamples ideally, from every pixel: jpeg_scale must be 'full'")
        return self

    @property
    def channels(self) -> int:
        """3 for RGB, 1 for L."""
        return len(self.mode)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, planes of a prepared image: its channels, and its own size where `fit` is "spectral"."""
        return (self.height, self.width, self.channels + (self.fit == "spectral"))

    def decoding(self, scale: JpegScale) -> Self:
        """The same with JPEGs decoded at that scale; PixelError where it has a `fit` that wants every pixel."""
        try:
            return self.model_validate({**self.model_dump(), "jpeg_scale": scale})
        except ValidationError as error:
            raise PixelError(f"{sentence(error)}.") from error

    def scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height that an upright image of `size` (width, height) is scaled to, before the rest is cut off.

        With "crop" the smallest of the image's own aspect ratio that covers the model's input and what the crop takes
        off, with torchvision's rounding.
        """
        if self.fit != "crop":
            return self.width, self.height
        (wide, high), fraction = size, self.crop_fraction
        width, height = round(self.width / fraction), round(self.height / fraction)
        if wide * height <= high * width:
            return width, width * high // wide
        return height * wide // high, height

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a prepared image: uint8, or float32 where resampling leaves values between and beyond the 256 levels."""
        return np.dtype(np.float32 if self.fit == "spectral" else np.uint8)
