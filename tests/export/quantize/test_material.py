"""Calibration images and judged ones are never the same."""

from pathlib import Path

import numpy as np
import pytest

from export.errors import ExportError
from export.quantize.material import Material, material
from harmonic.pixels import PixelSpec
from tests.support.textures import write_textures

SPEC = PixelSpec(height=8, width=8)
CLASSES = ("texture1", "texture0", "other")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_textures(tmp_path_factory.mktemp("many"), classes=2, each=60, side=8)


def _rows(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def test_one_source_is_parted_and_has_no_labels(many: Path) -> None:
    found = material([many], [], CLASSES, SPEC)
    assert (len(found.calibration), len(found.judged)) == (60, 60)
    assert found.labels is None
    assert not _rows(found.calibration) & _rows(found.judged)


def test_labelled_images_are_all_judges_with_the_models_own_numbers(many: Path, tmp_path: Path) -> None:
    judges = write_textures(tmp_path / "judges", classes=2, each=5, seed=9, side=8)
    found = material([many], [judges], CLASSES, SPEC)
    assert len(found.calibration) == 120
    assert found.labels is not None
    assert found.labels.tolist() == [1] * 5 + [0] * 5


def test_too_few_images_and_none_are_refused(tmp_path: Path) -> None:
    few = write_textures(tmp_path / "few", classes=2, each=20, side=8)
    with pytest.raises(ExportError, match="has 40 images"):
        material([few], [], CLASSES, SPEC)
    with pytest.raises(ExportError, match="--calibration"):
        material([], [few], CLASSES, SPEC)


@pytest.mark.parametrize(("side", "batch"), [(32, 32), (224, 3), (2000, 1)])
def test_larger_images_come_in_smaller_batches(side: int, batch: int) -> None:
    images = np.zeros((40, 1, 1, 3), dtype=np.uint8)
    wide = np.broadcast_to(images, (40, side, side, 3))
    found = Material(wide, wide, None).batches()
    assert len(found[0]) == batch
    assert sum(map(len, found)) == 40
