"""Hair removal: thin dark lines go, everything else stays, whatever the size."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError

from harmonic.pixels.hair import HairRemoval, remove_hair
from harmonic.pixels.prepare import prepare
from harmonic.pixels.spec import PixelSpec

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


def with_hair(rows: int, columns: int, degrees: float, width: float) -> np.ndarray:
    """Skin with one hair from border to border through a place near the middle, its edges smooth as a camera's."""
    finer = 4
    image = Image.new("RGB", (columns * finer, rows * finer), SKIN)
    x, y = columns * finer / 2 + 1.2, rows * finer / 2 + 0.8
    across, down = (
        (rows + columns) * finer * part for part in (np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))
    )
    ends = (x - across, y - down, x + across, y + down)
    ImageDraw.Draw(image).line(ends, fill=(40, 30, 30), width=max(1, round(width * finer)))
    return np.asarray(image.resize((columns, rows), Image.Resampling.BOX))


ANGLES = (0, 5, 10, 20, 22.5, 30, 37, 45, 60, 67.5, 80, 90, 101, 112.5, 135, 150, 157.5, 172)


@pytest.mark.parametrize(
    ("rows", "columns", "width"),
    [(450, 600, 1), (450, 600, 2), (450, 600, 4), (112, 112, 0.7), (112, 112, 1), (112, 112, 2), (112, 149, 1.5)],
)
def test_nine_tenths_of_a_hair_go_in_every_direction(rows, columns, width):
    for degrees in ANGLES:
        hairy = with_hair(rows, columns, degrees, width)
        before, after = (np.abs(pixels.astype(int) - SKIN).sum() for pixels in (hairy, cleaned(hairy)))
        assert after < 0.1 * before, degrees


def test_a_bent_hair_goes():
    hairy = skin(450, 600)
    rows, columns = np.mgrid[:450, :600]
    hairy[np.abs(np.hypot(rows - 500, columns - 300) - 250) < 1] = (40, 30, 30)

    assert np.abs(cleaned(hairy).astype(int) - SKIN).sum() < 0.1 * np.abs(hairy.astype(int) - SKIN).sum()


@pytest.mark.parametrize("radius", [1, 2, 4, 6, 8, 9, 10, 12, 15, 20, 30, 60, 100])
def test_dark_spots_of_every_size_stay_at_full_size(radius):
    spotted = skin(450, 600)
    rows, columns = np.mgrid[:450, :600]
    for place in (150, 450):
        spotted[np.hypot(rows - 225, columns - place) < radius] = (90, 50, 40)

    assert np.array_equal(cleaned(spotted), spotted)


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
