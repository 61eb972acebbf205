"""One conversion and one turn for training, evaluation and serving: whatever the image, both ways give the same."""

import io
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harmonic.errors import PixelError
from harmonic.pixels.hair import HairRemoval
from harmonic.pixels.prepare import prepare
from harmonic.pixels.spec import PixelSpec
from harmonic.pixels.upright import Upright, upright_rgb

SEVERAL_TILES = (1511, 1103)
ORIENTATIONS = range(1, 9)
MODES = ["1", "CMYK", "HSV", "I;16", "I;16B", "I;16L", "L", "LA", "La", "LAB", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX",
         "YCbCr"]  # fmt: skip
SPECS = [
    PixelSpec(height=32, width=32),
    PixelSpec(height=40, width=24, crop_fraction=0.875, interpolation="bicubic"),
    PixelSpec(height=60, width=90, fit="squash", interpolation="lanczos"),
    PixelSpec(height=28, width=28, mode="L", fit="spectral", smallest=8, mean=(0.1,), std=(0.2,)),
    PixelSpec(height=32, width=32, hair=HairRemoval(working_side=100)),
]


def stored(mode: str, size: tuple[int, int], orientation: int = 1, seed: int = 0) -> Image.Image:
    """An image of noise as a file would give it."""
    rng = np.random.default_rng(seed)
    width, height = size
    if mode.startswith("I;16"):
        order = ">" if mode.endswith("B") else "<"
        image = Image.frombytes(mode, size, rng.integers(0, 65536, width * height).astype(f"{order}u2").tobytes())
    elif mode == "1":
        image = Image.fromarray(rng.integers(0, 256, (height, width), np.uint8)).convert("1")
    else:
        bands = len(Image.new(mode, (1, 1)).getbands())
        image = Image.frombytes(mode, size, rng.integers(0, 256, width * height * bands, np.uint8).tobytes())
    if mode in {"P", "PA"}:
        image.putpalette(rng.integers(0, 256, 768, np.uint8).tobytes())
    image.getexif()[0x0112] = orientation
    return image


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.fit}{'-hair' if spec.hair else ''}-{spec.width}")
@pytest.mark.parametrize("mode", MODES)
def test_served_pixels_are_training_pixels_in_every_mode(mode, spec):
    for orientation in (1, 6) if mode != "RGBA" else ORIENTATIONS:
        image = stored(mode, SEVERAL_TILES, orientation)
        assert np.array_equal(prepare(Upright(image), spec), prepare(upright_rgb(image), spec))


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 3000),
    height=st.integers(1, 3000),
    orientation=st.sampled_from(ORIENTATIONS),
    fraction=st.floats(0.3, 1),
    way=st.sampled_from(["bilinear", "bicubic", "lanczos"]),
    fit=st.sampled_from(["crop", "squash"]),
)
def test_served_pixels_are_training_pixels_at_every_size(width, height, orientation, fraction, way, fit):
    image = stored("LA", (width, height), orientation)
    spec = PixelSpec(height=48, width=32, crop_fraction=fraction, interpolation=way, fit=fit)
    assert np.array_equal(prepare(Upright(image), spec), prepare(upright_rgb(image), spec))


@pytest.mark.parametrize(("mode", "orientation"), list(itertools.product(["RGB", "LA", "P"], ORIENTATIONS)))
def test_a_part_is_a_part_of_the_whole(mode, orientation):
    seen = Upright(stored(mode, SEVERAL_TILES, orientation))
    box = (17, 3, seen.width - 5, seen.height - 60)
    assert np.array_equal(np.asarray(seen.crop(box)), np.asarray(seen.whole().crop(box)))


def test_every_mode_of_pillow_is_taken_or_refused():
    for mode in Image.MODES:
        if mode in MODES or mode == "I;16N":
            assert upright_rgb(Image.new(mode, (3, 2))).mode == "RGB"
        else:
            with pytest.raises(PixelError, match="unknown range"):
                upright_rgb(Image.new(mode, (3, 2)))


@pytest.mark.parametrize("spec", SPECS[:3], ids=["crop", "crop-24", "squash"])
@pytest.mark.parametrize("size", [(1, 2_000_000), (2_000_000, 1), (3, 900_000)])
def test_a_sliver_is_prepared_whatever_its_mode(size, spec):
    assert prepare(Upright(stored("L", size)), spec).shape == spec.shape


def test_broken_exif_does_not_cost_the_picture():
    file = io.BytesIO()
    stored("RGB", (8, 6)).save(file, "PNG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")
    assert Upright(Image.open(file)).size == (8, 6)
