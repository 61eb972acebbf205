"""JPEGs at a smaller scale: which one, of what, and that every way to a model's input takes the same."""

import io

import numpy as np
import pytest
from PIL import Image

from harmonic.pixels.formats import decoded
from harmonic.pixels.hair import HairRemoval
from harmonic.pixels.prepare import prepare
from harmonic.pixels.reduction import largest_step, reduce
from harmonic.pixels.spec import PixelSpec
from harmonic.pixels.upright import Upright, resized
from tests.support.images import encoded, oriented, smooth

CROP = PixelSpec(height=32, width=32, crop_fraction=0.8, jpeg_scale="reduced")  # scales the short side to 40


def step(size: tuple[int, int], spec: PixelSpec, orientation: int = 1, **options: object) -> int:
    """By how much the sides of a JPEG are divided, as its decoded picture has them."""
    stored = encoded(Image.new("RGB", size), "JPEG", exif=oriented(orientation), **options)
    with Image.open(io.BytesIO(stored)) as image:
        reduction = reduce(image, spec)
        image.load()
        said = reduction.step if reduction else 1
        assert image.size == tuple(-(-side // said) for side in size)
    return said


@pytest.mark.parametrize(("excess", "wanted"), [(1, 1), (3.99, 1), (4, 2), (7.9, 2), (8, 4), (16, 8), (1000, 8)])
def test_a_reduced_image_still_has_twice_the_sides_that_it_is_scaled_to(excess, wanted):
    assert largest_step(excess) == wanted


@pytest.mark.parametrize(
    ("size", "spec", "orientation", "wanted"),
    [
        ((159, 400), CROP, 1, 1),
        ((160, 400), CROP, 1, 2),
        ((400, 320), CROP, 1, 4),
        ((640, 640), CROP, 6, 8),
        ((400, 160), PixelSpec(height=20, width=50, jpeg_scale="reduced"), 1, 4),
        # Lying, the same file is a tall picture: 50 columns are made of 160.
        ((400, 160), PixelSpec(height=20, width=50, jpeg_scale="reduced"), 6, 1),
        ((400, 160), PixelSpec(height=50, width=20, jpeg_scale="reduced"), 6, 4),
        ((400, 160), PixelSpec(height=20, width=20, fit="squash", jpeg_scale="reduced"), 1, 4),
        ((400, 100), PixelSpec(height=20, width=20, hair=HairRemoval(working_side=100), jpeg_scale="reduced"), 1, 2),
        ((99, 80), PixelSpec(height=4, width=4, hair=HairRemoval(working_side=100), jpeg_scale="reduced"), 1, 1),
    ],
)
def test_the_scale_follows_what_the_model_sees(size, spec, orientation, wanted):
    assert step(size, spec, orientation) == wanted


@pytest.mark.parametrize("sides", [(321, 327), (323, 641), (335, 5000)])
def test_odd_sizes_get_the_scale_that_is_meant(sides):
    assert step(sides, CROP) == 4


def test_a_full_scale_reduces_nothing():
    assert step((2000, 2000), CROP.decoding("full")) == 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_other_formats_are_decoded_whole(kind):
    picture = smooth(400, 300)
    assert decoded(encoded(picture, kind), CROP).whole().size == picture.size


@pytest.mark.parametrize(("mode", "options"), [("L", {}), ("RGB", {"progressive": True}), ("CMYK", {}), ("RGB", {})])
def test_every_kind_of_jpeg_is_reduced(mode, options):
    stored = encoded(smooth(400, 330).convert(mode), "JPEG", quality=95, **options)
    found = decoded(stored, CROP)
    assert (found.size, found.whole().size) == ((400, 330), (100, 83))


def test_of_several_pictures_in_a_jpeg_the_first_is_reduced():
    stored = encoded(smooth(400, 330), "MPO", save_all=True, append_images=[smooth(64, 64)])
    found = decoded(stored, CROP)
    assert (found.size, found.whole().size) == ((400, 330), (100, 83))


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("hair", [None, HairRemoval(working_side=100, threshold=254)])
def test_a_reduced_picture_is_the_whole_one_but_for_its_finest_frequencies(fit, orientation, hair):
    """Nothing is moved, though the last row and column of the smaller picture are not filled."""
    spec = PixelSpec(height=24, width=20, fit=fit, hair=hair, jpeg_scale="reduced")
    stored = encoded(smooth(401, 331), "JPEG", quality=95, exif=oriented(orientation))
    full = prepare(stored, spec.decoding("full")).astype(float)
    found = prepare(stored, spec).astype(float)
    assert 0 < np.abs(found - full).mean() < 1


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_a_reduced_picture_in_strips_is_the_whole_one(orientation):
    """Training converts a whole image, serving strips of it; more than one strip, so that they have edges."""
    spec = PixelSpec(height=256, width=300, fit="squash", jpeg_scale="reduced")
    stored = encoded(smooth(2602, 2001), "JPEG", exif=oriented(orientation))
    with Image.open(io.BytesIO(stored)) as image:
        reduction = reduce(image, spec)
        image.load()
        seen = Upright(image, reduction)
        strips, whole = prepare(seen, spec), seen.whole()
    assert whole.size[0] * whole.size[1] > 2**20
    box = seen.in_own_pixels((0, 0, *seen.size))
    assert np.array_equal(strips, np.asarray(resized(whole, (300, 256), Image.Resampling.BILINEAR, box)))
