import io
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from harmonic.errors import PixelError
from harmonic.pixels.prepare import prepare
from harmonic.pixels.spec import PixelSpec
from harmonic.pixels.upright import upright_rgb

SIZES = [(500, 375), (375, 500), (224, 224), (256, 256), (32, 32), (33, 31), (1, 1), (1, 300), (300, 1), (1024, 67)]


def photograph(width, height, mode="RGB", seed=0):
    """Smooth shapes with noise, as a photograph has."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (9 + 5 * c) + y / (13 + 3 * c)) for c in range(len(Image.new(mode, (1, 1)).getbands()))]
    pixels = 127 + 90 * np.stack(waves, axis=-1) + rng.normal(0, 25, (height, width, len(waves)))
    return Image.fromarray(np.uint8(pixels.clip(0, 255)).squeeze(-1) if mode == "L" else np.uint8(pixels.clip(0, 255)))


def torchvisions(image, spec):
    """Resize of the short side, then the centre, as torchvision does for Pillow images."""
    short = round(min(spec.height, spec.width) / spec.crop_fraction)
    mode = InterpolationMode(spec.interpolation)
    resized = tv.resize(image, [short], mode, antialias=True)
    return np.asarray(tv.center_crop(resized, [spec.height, spec.width]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fraction", [1.0, 0.875])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_cropping_agrees_with_torchvision(size, fraction, interpolation):
    spec = PixelSpec(height=224, width=224, crop_fraction=fraction, interpolation=interpolation)
    image = photograph(*size)
    difference = np.abs(prepare(image, spec).astype(int) - torchvisions(image, spec).astype(int))
    # Pillow rounds between its two passes; cutting in the source may move that by one grey level.
    assert difference.max() <= 1
    assert difference.mean() < 0.02


@pytest.mark.parametrize("size", [(10, 4000), (4000, 10), (3, 5000), (5000, 2)])
def test_extreme_aspects_keep_their_centre(size):
    spec = PixelSpec(height=32, width=32)
    image = photograph(*size)
    difference = np.abs(prepare(image, spec).astype(int) - torchvisions(image, spec).astype(int))
    assert difference.max() <= 1


def test_a_sliver_costs_no_memory():
    sliver = photograph(1, 30_000)
    tracemalloc.start()
    prepare(sliver, PixelSpec(height=224, width=224))
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(("height", "width"), [(40, 90), (90, 40), (1, 64), (64, 1)])
@pytest.mark.parametrize("size", [(200, 100), (100, 200), (57, 57)])
def test_oblong_inputs_are_covered_and_filled(height, width, size):
    spec = PixelSpec(height=height, width=width, crop_fraction=0.9)
    white = Image.new("RGB", size, "white")
    assert prepare(white, spec).shape == (height, width, 3)
    assert prepare(white, spec).min() == 255


@pytest.mark.parametrize("fit", ["crop", "squash"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_image_of_the_right_shape_keeps_every_pixel(fit, mode):
    image = photograph(28, 20, mode)
    spec = spec_of(mode, height=20, width=28, fit=fit)
    assert np.array_equal(prepare(image, spec).squeeze(), np.asarray(image))


def spec_of(mode, **fields):
    return PixelSpec(mode=mode, mean=(0.5,) * len(mode), std=(0.25,) * len(mode), **fields)


def test_squashing_scales_both_sides_freely():
    spec = PixelSpec(height=48, width=64, fit="squash")
    image = photograph(300, 90)
    wanted = tv.resize(image, [48, 64], InterpolationMode.BILINEAR, antialias=True)
    assert np.array_equal(prepare(image, spec), np.asarray(wanted))


def test_a_grey_spec_has_one_channel_of_luma():
    spec = spec_of("L", height=16, width=16)
    red = prepare(Image.new("RGB", (40, 30), (255, 0, 0)), spec)
    assert red.shape == (16, 16, 1)
    assert set(red.flat) == {76}  # ITU-R 601: 0.299 x 255


def test_prepared_pixels_are_contiguous_uint8_of_their_own():
    image = photograph(32, 32)
    prepared = prepare(image, PixelSpec(height=32, width=32))
    assert prepared.dtype == np.uint8
    assert prepared.flags.c_contiguous
    assert torch.from_numpy(prepared.copy()).shape == (32, 32, 3)
    before = np.asarray(image).copy()
    if prepared.flags.writeable:
        prepared[:] = 0
    assert np.array_equal(np.asarray(image), before)


# --- from any file to upright RGB ---


def reopened(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Image.open(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation):
    upright = photograph(40, 24)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> Image.Transpose that stores it so
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[274] = orientation
    found = upright_rgb(reopened(stored, "PNG", exif=exif))
    assert np.array_equal(np.asarray(found), np.asarray(upright))


def test_transparency_becomes_white():
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 255, 0))
    assert list(upright_rgb(image).get_flattened_data()) == [(255, 0, 0), (255, 255, 255)]


def test_half_transparency_is_mixed_with_white():
    assert upright_rgb(Image.new("LA", (1, 1), (0, 128))).getpixel((0, 0)) == (127, 127, 127)


def test_a_transparent_palette_entry_becomes_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    found = upright_rgb(reopened(image, "PNG", transparency=0))
    assert list(found.get_flattened_data()) == [(255, 255, 255), (200, 100, 50)]


def test_a_palette_becomes_its_colours():
    colours = photograph(16, 16).quantize(32)
    assert np.array_equal(np.asarray(upright_rgb(colours)), np.asarray(colours.convert("RGB")))


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "CMYK", "YCbCr", "HSV", "LAB"])
def test_every_mode_becomes_rgb(mode):
    found = upright_rgb(photograph(8, 8).convert("RGB").convert(mode) if mode != "LAB" else Image.new("LAB", (8, 8)))
    assert found.mode == "RGB"


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind):
    levels = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    found = upright_rgb(reopened(Image.fromarray(levels), kind))
    assert [pixel[0] for pixel in found.get_flattened_data()] == [0, 1, 128, 255]  # rounded to the nearest


def test_floating_point_pixels_are_refused():
    with pytest.raises(PixelError, match="floating-point"):
        upright_rgb(Image.new("F", (3, 3)))
