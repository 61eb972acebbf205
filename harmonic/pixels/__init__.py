"""Any image becomes the array that a model takes: mode conversion, orientation, resize, crop, hair removal.

The same for training, evaluation and serving. Knows numpy and Pillow; no torch, no files, no HTTP.
"""

from harmonic.pixels.formats import FORMATS, READ, STARTS, SUFFIXES, Format, decoded
from harmonic.pixels.hair import HairRemoval, remove_hair
from harmonic.pixels.prepare import (
    PixelSpec,
    Upright,
    check_range,
    prepare,
    resampling,
    upright_rgb,
    with_own_size,
)
from harmonic.pixels.resampling import Resampler, low_pass, resampler, shift
from harmonic.pixels.upright import resized

__all__ = [
    "FORMATS",
    "READ",
    "STARTS",
    "SUFFIXES",
    "Format",
    "HairRemoval",
    "PixelSpec",
    "Resampler",
    "Upright",
    "check_range",
    "decoded",
    "low_pass",
    "prepare",
    "remove_hair",
    "resampler",
    "resampling",
    "resized",
    "shift",
    "upright_rgb",
    "with_own_size",
]
