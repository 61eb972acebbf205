"""The error tree of the harmonic package, and the words of other packages' errors. No torch, no pydantic.

Every message says what came, what was wanted and what to do.

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

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class HarmonicError(Exception):
    """What every error of this package is; commands print its message and end with status 2."""


class SpectrumError(HarmonicError, ValueError):
    """A filter bank or a spectral layer that cannot exist."""


class PixelError(HarmonicError, ValueError):
    """An image that cannot be brought into a model's shape, or an impossible PixelSpec."""


class MissingFormatError(PixelError):
    """An image of a format whose reader is an extra that is not installed."""


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


class Refusal(Protocol):
    """What pydantic raises for data that do not fit."""

    def errors(self, *, include_url: bool, include_context: bool, include_input: bool) -> Sequence[Mapping[str, Any]]:
        """Each problem: `loc`, its place, and `msg`, what is wrong there."""


def sentence(refusal: Refusal, whole: str = "") -> str:
    """The first problem of data that do not fit: `train.epochs: Input should be greater than 0`.

    whole: what to call the data where the problem has no place in it; empty for the bare message. What stood there is
    never repeated: it may be a secret.
    """
    return problem_sentence(_problems(refusal)[0], whole)


def sentences(refusal: Refusal) -> list[str]:
    """The same of every problem."""
    return [problem_sentence(problem) for problem in _problems(refusal)]


def problem_sentence(problem: Mapping[str, Any], whole: str = "") -> str:
    """The same of one problem, as pydantic and FastAPI list them. Its place may be a caller's words, and is cut."""
    place = ".".join(map(str, problem["loc"]))[:200] or whole
    return f"{place}: {problem['msg']}" if place else str(problem["msg"])


def _problems(refusal: Refusal) -> Sequence[Mapping[str, Any]]:
    """As few bytes a problem as can be: a caller may have made a million."""
    return refusal.errors(include_url=False, include_context=False, include_input=False)


def first_line(error: BaseException) -> str:
    """What an error says first, without the pages that some libraries write after it; its kind if it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
