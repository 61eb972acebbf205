"""HEIC, as phones send it: read where its extra is installed, refused with what to do where it is not."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from harmonic.pixels import FORMATS, HEIC, NO_HEIC, recognised
from service.config import Limits
from service.decoding.decode import decode
from service.errors import DecodeError, ImageFormatError, ImageTooLarge
from tests.support.images import encoded, oriented

installed = pytest.mark.skipif(HEIC.name not in FORMATS, reason=NO_HEIC)
HEAD = struct.pack(">I", 28) + b"ftypheic" + bytes(4) + b"mif1heicmiaf"


def heic(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "HEIF", quality=90, **options)


def halves(mode: str = "RGB") -> Image.Image:
    """Red above, blue below."""
    image = Image.new("RGB", (96, 64), "red")
    image.paste("blue", (0, 32, 96, 64))
    return image.convert(mode)


def distance(found: Image.Image, wanted: object) -> float:
    """Mean difference in levels."""
    return float(np.abs(np.asarray(found, dtype=int) - np.asarray(wanted, dtype=int)).mean())


@installed
@pytest.mark.parametrize("options", [{}, {"tile_size": 64}, {"chroma": "444"}])
def test_a_heic_is_decoded(options):
    assert distance(decode(heic(halves(), **options), Limits()), halves()) < 3


@installed
@pytest.mark.parametrize(("orientation", "degrees"), [(1, 0), (3, 180), (6, -90), (8, 90)])
def test_it_is_turned_once(orientation, degrees):
    """The encoder writes the turn into the container; EXIF data that say the same do not turn it again."""
    stored, upright = heic(halves(), exif=oriented(orientation).tobytes()), halves().rotate(degrees, expand=True)
    assert (b"irot" in stored) == bool(degrees)
    found = decode(stored, Limits())
    assert found.size == upright.size
    assert distance(found, upright) < 3


@installed
def test_a_turn_in_exif_alone_is_none():
    stored = heic(halves(), exif=oriented(6))
    assert b"irot" not in stored
    assert decode(stored, Limits()).size == (96, 64)


@installed
def test_more_than_eight_bits_are_read():
    deep = Image.fromarray(np.full((32, 32), 32768, np.uint16))
    data = heic(deep)
    assert b"hvcC" in data
    assert distance(decode(data, Limits()), 128) <= 3


@installed
def test_alpha_lies_on_white():
    assert distance(decode(heic(Image.new("RGBA", (64, 64), (255, 0, 0, 0))), Limits()), 255) <= 2


@installed
def test_of_several_pictures_the_first_counts():
    data = heic(Image.new("RGB", (64, 64), "red"), save_all=True, append_images=[Image.new("RGB", (64, 64), "blue")])
    assert distance(decode(data, Limits()), (255, 0, 0)) <= 5


@installed
@pytest.mark.parametrize("side", [16, 60_000, 2**32 - 1])
def test_a_container_that_declares_another_size_is_refused(side):
    data = heic(halves().resize((1024, 1024)))
    at = data.index(b"ispe") + 8
    with pytest.raises(DecodeError):
        decode(data[:at] + struct.pack(">II", side, side) + data[at + 8 :], Limits())


@installed
def test_declared_pixels_are_held_against_the_limit():
    with pytest.raises(ImageTooLarge):
        decode(heic(halves()), Limits(pixels=96 * 64 - 1))


@installed
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9])
def test_a_truncated_heic_is_refused(share):
    data = heic(Image.effect_noise((96, 64), 90).convert("RGB"))
    with pytest.raises(DecodeError):
        decode(data[: int(len(data) * share)], Limits())


_WITHOUT = """
import importlib.machinery, sys
found = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = lambda name, *rest: None if name == "pillow_heif" else found(name, *rest)
from harmonic.data.folders import class_folders
from harmonic.pixels import SUFFIXES
from service.config import Limits
from service.decoding.decode import decode
from service.errors import ImageFormatError
try:
    decode(bytes.fromhex(sys.argv[1]), Limits())
except ImageFormatError as error:
    print(error.status, error)
from pathlib import Path
print(dict(class_folders(Path(sys.argv[2])).images(None).left_out))
"""


def test_without_its_extra_a_heic_is_refused_and_counted_by_name(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat/1.heic").write_bytes(HEAD)
    Image.new("RGB", (4, 4)).save(tmp_path / "cat/2.png")
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, HEAD.hex(), str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"415 {NO_HEIC}", "{'.heic files (read with the extra heic)': 1}"]


def test_every_brand_of_heic_is_recognised_and_no_other():
    assert recognised(HEAD) == HEIC
    assert recognised(struct.pack(">I", 24) + b"ftypmif1" + bytes(4) + b"miafheix") == HEIC
    assert recognised(struct.pack(">I", 24) + b"ftypmif1" + bytes(4) + b"miafmif1heic") is None  # beyond the box
    assert recognised(struct.pack(">I", 20) + b"ftypisom" + bytes(4) + b"mp42") is None


def test_a_damaged_heic_is_no_unknown_format():
    with pytest.raises(DecodeError) as refusal:
        decode(HEAD, Limits())
    assert isinstance(refusal.value, ImageFormatError) == (HEIC.name not in FORMATS)
