"""Hair removal: thin dark lines go, everything else stays, whatever the size."""

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from harmonic.hair import HairRemoval, remove_hair
from harmonic.pixels import PixelSpec, prepare

SKIN = (200, 150, 140)


def skin(height: int = 112, width: int = 112) -> np.ndarray:
    return np.full((height, width, 3), SKIN, dtype=np.uint8)


def cleaned(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(remove_hair(Image.fromarray(pixels), HairRemoval()))


@pytest.mark.parametrize("direction", ["across", "down", "diagonal"])
def test_a_hair_is_filled_with_the_skin_beside_it(direction):
    hairy = skin()
    for i in range(5, 107):
        row, column = {"across": (50, i), "down": (i, 50), "diagonal": (i, i)}[direction]
        hairy[row, column] = (40, 30, 30)

    assert np.abs(cleaned(hairy)[8:104, 8:104].astype(int) - SKIN).max() <= 1


def test_skin_and_a_round_lesion_are_left_alone():
    spotted = skin()
    rows, columns = np.mgrid[:112, :112]
    spotted[(rows - 56) ** 2 + (columns - 56) ** 2 < 20**2] = (90, 50, 40)

    assert np.abs(cleaned(spotted).astype(int) - spotted).mean() < 1


def test_lengths_follow_the_images_height():
    small, large = skin(), skin(448, 448)
    small[60:62], large[240:248] = 30, 30

    assert cleaned(small).min() > 100
    assert cleaned(large).min() > 100


def test_a_huge_image_is_reduced_first():
    assert max(remove_hair(Image.new("RGB", (3000, 2000)), HairRemoval(working_side=600)).size) == 600


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 300), (5000, 2)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_extreme_shapes_are_answered(size, mode):
    spec = PixelSpec(height=8, width=8, fit="squash", hair=HairRemoval())

    assert prepare(Image.new(mode, size), spec).shape == (8, 8, 3)


def test_the_same_image_gives_the_same_pixels():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    assert np.array_equal(cleaned(noise), cleaned(noise.copy()))


def test_it_is_off_by_default_and_travels_with_the_pixel_spec():
    spec = PixelSpec(height=8, width=8, hair=HairRemoval(length=0.05))

    assert PixelSpec(height=8, width=8).hair is None
    assert PixelSpec.model_validate_json(spec.model_dump_json()) == spec
    assert PixelSpec.model_validate({"height": 8, "width": 8}).hair is None


@pytest.mark.parametrize("wrong", [{"length": 0}, {"length": 1}, {"threshold": 0}, {"working_side": 100_000}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        HairRemoval(**wrong)
