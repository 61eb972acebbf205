"""Images as programs hold them: Pillow's own, and arrays of pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harmonic.errors import PixelError


def as_image(given: Image.Image | NDArray[Any]) -> Image.Image:
    """A Pillow image whose pixels are there. PixelError for anything that is no image, and for one without pixels."""
    image = _from_array(given) if isinstance(given, np.ndarray) else given
    if not isinstance(image, Image.Image):
        raise PixelError(f"wanted a path, an encoded image's bytes, a Pillow image or an array; got {type(given)}.")
    if not image.width * image.height:
        raise PixelError("it has no pixels.")
    image.load()
    return image


def _from_array(pixels: NDArray[Any]) -> Image.Image:
    try:
        return Image.fromarray(np.ascontiguousarray(pixels))
    except (TypeError, ValueError) as error:
        raise PixelError(
            f"an array {pixels.shape} of {pixels.dtype} is no image: wanted (height, width) or (height, width, 3), "
            "uint8. Several images are given as a list."
        ) from error
