"""Every way in which a program has an image gives bytes that the service reads as the same pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from harmonic.errors import PixelError
from harmonic.pixels import upright_rgb
from service.client.pictures import body, encoded, several
from tests.support.images import encoded as as_file
from tests.support.images import noise


def pixels(data):
    return np.asarray(upright_rgb(Image.open(io.BytesIO(data))))


def test_a_file_goes_as_it_is(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(as_file(noise(), "JPEG"))
    assert encoded(path) == encoded(str(path)) == encoded(path.read_bytes()) == path.read_bytes()


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_pixels_arrive_as_the_service_would_convert_them(mode):
    picture = noise(12).convert("L").convert("I;16") if mode == "I;16" else noise(12).convert(mode)
    np.testing.assert_array_equal(pixels(encoded(picture)), np.asarray(upright_rgb(picture)))


def test_an_image_is_turned_as_its_file_says():
    turned = noise(12)
    turned.getexif()[0x0112] = 6
    lying = Image.open(io.BytesIO(as_file(turned, "PNG", exif=turned.getexif())))
    np.testing.assert_array_equal(pixels(encoded(lying)), np.asarray(turned.rotate(-90)))


@pytest.mark.parametrize("shape", [(5, 7, 3), (5, 7)])
def test_an_array_arrives_as_it_is(shape):
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = pixels(encoded(array))
    np.testing.assert_array_equal(found[..., 0], array if array.ndim == 2 else array[..., 0])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.zeros((2, 3, 4, 5)), "is no image"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((4, 4), np.float32), "unknown range"),
        ("missing.png", "missing.png: cannot be read"),
        (3, "wanted a path"),
    ],
)
def test_what_is_no_image_is_refused_before_it_is_sent(wrong, says):
    with pytest.raises(PixelError, match=says):
        encoded(wrong)


def test_one_image_is_told_from_several():
    image = noise()
    assert [several(one) for one in ("a.png", b"bytes", image, np.asarray(image))] == [None] * 4
    assert several(["a.png", "b.png"]) == several(iter(["a.png", "b.png"])) == ["a.png", "b.png"]
    assert several([]) == []


def test_one_image_is_the_body_itself():
    assert body([b"picture"]) == (b"picture", "application/octet-stream")
