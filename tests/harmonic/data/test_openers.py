"""Images of a folder or zip, opened by number: every kind of picture, and the broken ones by name."""

import os

import numpy as np
import pytest
from PIL import Image

from harmonic.data.images import check_all, prepare_all
from harmonic.errors import DataError
from harmonic.pixels import PixelSpec
from tests.support.pictures import CLASSES, dot, encoded, members, read, texture, write_zip

SPEC = PixelSpec(height=12, width=12)


def test_unreadable_images_are_all_named(source):
    good = encoded(texture("texture1", 0))
    broken = {"a/empty.png": b"", "a/text.jpg": b"hello", "b/cut.png": good[: len(good) // 2], "b/header.png": good[:9]}
    images = read(source({**members("a/1.png", "b/1.png"), **broken}))
    with pytest.raises(DataError, match=r"4 of 6 images") as caught:
        prepare_all(images, SPEC, title="")
    assert all(name in str(caught.value) for name in broken)
    with pytest.raises(DataError, match=r"4 of 6 images"):
        check_all(images, SPEC, title="")


def test_a_zip_member_with_a_wrong_checksum_is_named(tmp_path):
    path = write_zip(tmp_path / "pictures.zip", {"a/1.png": dot("red"), "b/1.png": dot("blue")})
    content = bytearray(path.read_bytes())
    content[content.find(b"IDAT") + 6] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"1 of 2 images.*a/1\.png"):
        prepare_all(read(path), SPEC, title="")


def test_many_unreadable_images_are_counted(source):
    images = read(source({f"{kind}/{n}.png": b"" for kind in "ab" for n in range(10)}))
    with pytest.raises(DataError, match="and 15 more"):
        prepare_all(images, SPEC, title="")


def test_every_kind_of_picture_is_read_as_rgb(source):
    picture = texture("texture1", 1)
    exif = Image.Exif()
    exif[274] = 6
    sixteen = Image.fromarray((np.arange(144, dtype=np.uint16) * 455).reshape(12, 12))
    content = {
        "a/grey.png": encoded(picture.convert("L")),
        "a/palette.gif": encoded(picture.quantize(8), "GIF"),
        "a/alpha.png": encoded(picture.convert("RGBA")),
        "a/greyalpha.png": encoded(picture.convert("LA")),
        "b/cmyk.jpg": encoded(picture.convert("CMYK"), "JPEG"),
        "b/sixteen.png": encoded(sixteen),
        "b/turned.jpg": encoded(picture, "JPEG", exif=exif),
        "b/bits.bmp": encoded(picture.convert("1"), "BMP"),
        "b/lossless.webp": encoded(picture, "WEBP", lossless=True),
        "b/deep.tiff": encoded(sixteen, "TIFF"),
    }
    images = read(source(content))
    assert {images.open(index).mode for index in range(len(images))} == {"RGB"}
    assert prepare_all(images, SPEC, title="").shape == (10, 12, 12, 3)


def test_a_zip_is_read_again_and_not_kept_in_memory(tmp_path):
    path = write_zip(tmp_path / "pictures.zip", {"a/1.png": dot("red"), "b/1.png": dot("blue")})
    images = read(path)
    images.open(0)
    path.unlink()
    assert images.open(1).getpixel((0, 0)) == (0, 0, 255)  # the reader is open


def test_a_forked_process_reads_a_zip_with_a_position_of_its_own(tmp_path):
    content = {f"{kind}/{n}.png": encoded(texture(kind, n)) for kind in CLASSES for n in range(4)}
    images = read(write_zip(tmp_path / "pictures.zip", content))
    images.open(0)
    child = os.fork()
    if child == 0:
        right = all(images.open(i).tobytes() == images.open(i).tobytes() for i in range(len(images)))
        os._exit(0 if right else 1)
    assert all(images.open(i).mode == "RGB" for i in range(len(images)))
    assert os.waitpid(child, 0)[1] == 0
