"""The error tree of the harmonic package. Every message says what came, what was wanted and what to do.

HarmonicError
├── SpectrumError   a filter bank or a spectral layer that cannot exist
├── PixelError      an image that cannot be brought into a model's shape, or an impossible PixelSpec
├── ZooError        an unknown architecture, or arguments that it does not take
├── BundleError     a bundle that is missing, damaged, or of another schema
├── CompressionError a budget that cannot be met, or nothing to compress
├── FeatureError    a network whose feature maps cannot be had, or a layer that gives none
├── PictureError    a picture of a kind that is not drawn, or in a place that cannot be written
├── DownloadError   a released file that could not be had, or is not what was released
├── RecipeError     a recipe that is not valid
├── RunError        a training run whose stored state is damaged, or cannot be written
├── DataError       a data set that cannot be read or learned from
└── DeviceError     hardware that was asked for and is not there
"""


class HarmonicError(Exception):
    """What every error of this package is; commands print its message and end with status 2."""


class SpectrumError(HarmonicError, ValueError):
    """A filter bank or a spectral layer that cannot exist."""


class PixelError(HarmonicError, ValueError):
    """An image that cannot be brought into a model's shape, or an impossible PixelSpec."""


class ZooError(HarmonicError, ValueError):
    """An unknown architecture, or arguments that it does not take."""


class BundleError(HarmonicError):
    """A bundle that is missing, damaged, or of another schema."""


class CompressionError(HarmonicError, ValueError):
    """A budget that cannot be met, or nothing to compress."""


class FeatureError(HarmonicError, ValueError):
    """A network whose feature maps cannot be had, or a layer that gives none."""


class PictureError(HarmonicError):
    """A picture of a kind that is not drawn, or in a place that cannot be written."""


class DownloadError(HarmonicError):
    """A released file that could not be had, or is not what was released."""


class RecipeError(HarmonicError, ValueError):
    """A recipe that is not valid."""


class RunError(HarmonicError):
    """A training run whose stored state is damaged, or cannot be written."""


class DataError(HarmonicError):
    """A data set that cannot be read or learned from."""


class DeviceError(HarmonicError):
    """Hardware that was asked for and is not there."""
