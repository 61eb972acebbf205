"""How good a classifier was found to be, in figures alone: `report.json`. No image, no name of a file.

It is published with the version, and documents of a version are read by everybody.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harmonic.disk import schema_of
from harmonic.errors import BundleError, sentence

REPORT = "report.json"
SCHEMA = 1
MOST_CLASSES = 30  # more of them are no table
MOST_LISTED = 100
MOST_POINTS = 100  # of a curve
MOST_LETTERS = 300
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(max_length=MOST_LETTERS)]
Counts = Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(max_length=MOST_CLASSES)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Estimate(_Frozen):
    """A share, and between which it lies in 95 of 100 cases, where that was worked out."""

    value: Share
    low: Share | None = None
    high: Share | None = None


class ClassFigures(_Frozen):
    """recall: of the class's images, the share answered right. precision: of the answers "this class", the share that
    was right. None where there are no such images or answers."""

    name: Text
    images: Annotated[float, Field(ge=0)]
    recall: Share | None = None
    precision: Share | None = None


class Confused(_Frozen):
    """share: of the images of class `true` that were answered `answer`."""

    true: Text
    answer: Text
    share: Share


class Calibrated(_Frozen):
    """Answers of about one probability: their mean probability, the share that was right, how many they are."""

    probability: Share
    right: Share
    images: Annotated[int, Field(ge=1)]


class Threshold(_Frozen):
    """Answers of at least a probability: the share of them that was right, and their share of all."""

    probability: Share
    right: Share
    kept: Share


class Learned(_Frozen):
    """Accuracy after learning from so many images."""

    images: Annotated[int, Field(ge=1)]
    accuracy: Share


class Report(_Frozen):
    """What was found on images that the classifier had not learned from.

    source: of the images. judged_by: how, in words. classes: those with the least recall where there are too many.
    confusion: true class (row) by answer; counts, or their means over several judgements; None for many classes.
    confused: the worst first. remarks: sentences for people.
    """

    schema_version: int = SCHEMA
    source: Text
    judged_by: Text
    images: Annotated[int, Field(ge=1)]
    accuracy: Estimate
    balanced_accuracy: Estimate
    class_count: Annotated[int, Field(ge=2)]
    classes: Annotated[tuple[ClassFigures, ...], Field(max_length=MOST_LISTED)]
    confusion: Annotated[tuple[Counts, ...], Field(max_length=MOST_CLASSES)] | None = None
    confused: Annotated[tuple[Confused, ...], Field(max_length=MOST_LISTED)] = ()
    calibration: Annotated[tuple[Calibrated, ...], Field(max_length=MOST_POINTS)] = ()
    thresholds: Annotated[tuple[Threshold, ...], Field(max_length=MOST_POINTS)] = ()
    learning: Annotated[tuple[Learned, ...], Field(max_length=MOST_POINTS)] = ()
    remarks: Annotated[tuple[Text, ...], Field(max_length=MOST_LISTED)] = ()

    def written(self) -> str:
        """As the file has it."""
        return self.model_dump_json(indent=1, exclude_none=True) + "\n"


def read_report(folder: Path) -> Report | None:
    """The report beside a bundle; None where there is none, BundleError where it is none."""
    path = folder / REPORT
    try:
        written = path.read_bytes()
        schema = schema_of(written, SCHEMA)
        if schema != SCHEMA:
            raise BundleError(f"{path}: schema {schema}; this build reads {SCHEMA}. Update this package, or remove it.")
        return Report.model_validate_json(written)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValidationError as error:
        raise BundleError(f"{path}: {sentence(error, 'file')}. Remove it: the classifier needs none.") from error
