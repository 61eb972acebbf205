"""Any image becomes the array that a model takes: mode conversion, orientation, resize, crop, hair removal.

The same for training, evaluation and serving. Knows numpy and Pillow; no torch, no files, no HTTP.
"""

from harmonic.pixels.formats import (
    FORMATS,
    HEIC,
    NO_HEIC,
    READ,
    SUFFIXES,
    Format,
    decoded,
    open_listed,
    recognised,
    upright_size,
)
from harmonic.pixels.given import as_image
from harmonic.pixels.hair import HairRemoval, remove_hair
from harmonic.pixels.prepare import prepare, resampling, with_own_size
from harmonic.pixels.reduction import reduce
from harmonic.pixels.resampling import Resampler, low_pass, resampler, shift
from harmonic.pixels.spec import JpegScale, PixelSpec
from harmonic.pixels.upright import Reduction, Upright, check_range, resized, upright_rgb

__all__ = [
    "FORMATS",
    "HEIC",
    "NO_HEIC",
    "READ",
    "SUFFIXES",
    "Format",
    "HairRemoval",
    "JpegScale",
    "PixelSpec",
    "Reduction",
    "Resampler",
    "Upright",
    "as_image",
    "check_range",
    "decoded",
    "low_pass",
    "open_listed",
    "prepare",
    "recognised",
    "reduce",
    "remove_hair",
    "resampler",
    "resampling",
    "resized",
    "shift",
    "upright_rgb",
    "upright_size",
    "with_own_size",
]
