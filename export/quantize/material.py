"""The images that a variant is made with, and those that it is judged on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from harmonic.data import Images, prepare_all, read
from harmonic.pixels import PixelSpec

Source = Sequence[Path] | Images
CALIBRATION = 320
_UNLABELLED = 2000  # images whose agreement is measured, where nobody gave labelled ones
_LEAST = 50  # of them
_VALUES = 2**24  # of a batch's images: what a network makes of them fits into memory


@dataclass(frozen=True)
class Material:
    """calibration: images to learn ranges from. judged: others. labels: theirs; None where nobody gave any."""

    calibration: NDArray[Any]
    judged: NDArray[Any]
    labels: NDArray[np.int64] | None

    def batches(self) -> list[NDArray[Any]]:
        """The calibration images, as many at once as memory bears."""
        size = max(1, min(32, _VALUES // (32 * int(np.prod(self.calibration.shape[1:])))))
        return [self.calibration[start : start + size] for start in range(0, len(self.calibration), size)]


def material(calibration: Source, judges: Source, classes: tuple[str, ...], pixels: PixelSpec) -> Material:
    """Read both, unless they are images already. Without `judges`, the variant is judged on those images of the
    calibration's source that are left.

    Raises ExportError where that leaves too few, DataError for what cannot be read.
    """
    if not calibration:
        raise ExportError(
            "int8 and fp16 want real images like those that will be asked: give --calibration FOLDER_OR_ZIP."
        )
    source = _images(calibration, "train")
    order = np.random.default_rng(0).permutation(len(source))
    if judges:
        labelled = _images(judges, "test").labelled_as(classes)
        learned = prepare_all(source.subset(order[:CALIBRATION]), pixels, title="Reading calibration images")
        judged = prepare_all(labelled, pixels, title="Reading labelled images")
        return Material(learned, judged, labelled.labels)
    count = min(CALIBRATION, len(source) // 2)
    if len(source) - count < _LEAST:
        raise ExportError(
            f"{source.source} has {len(source)} images. Half of them calibrate, and on the others, {_LEAST} or more, "
            "the variant is judged: give more with --calibration, or labelled ones with --judge."
        )
    images = prepare_all(source.subset(order[: count + _UNLABELLED]), pixels, title="Reading images")
    return Material(images[:count], images[count:], None)


def _images(source: Source, split: Literal["train", "test"]) -> Images:
    return source if isinstance(source, Images) else read(source, split)
