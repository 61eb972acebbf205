"""Images from files, folders, and made."""

import io
from pathlib import Path

import pytest
from PIL import Image

from service.load.pictures import MOST, Picture, make_pictures, read_pictures
from service.load.plan import LoadError


@pytest.mark.parametrize(("what", "kind"), [("40x30.jpg", "JPEG"), ("40x30.png", "PNG"), ("40x30.webp", "WEBP")])
def test_made_images_are_what_was_asked_for(what: str, kind: str):
    pictures = make_pictures(what, 0)
    assert len({picture.content for picture in pictures}) == len(pictures) == 16
    image = Image.open(io.BytesIO(pictures[0].content))
    assert (image.size, image.format, pictures[0].kind) == ((40, 30), kind, f"image/{kind.lower()}")
    assert pictures == make_pictures(what, 0) != make_pictures(what, 1)


@pytest.mark.parametrize("what", ["40x30", "40.jpg", "0x30.png", "40x30.gif", "ax3.png"])
def test_what_cannot_be_made_is_refused(what: str):
    with pytest.raises(LoadError, match="Say it like"):
        make_pictures(what, 0)


def test_folders_are_read_with_their_folders(tmp_path: Path):
    (tmp_path / "cat").mkdir()
    for name in ("b.png", "cat/a.JPEG", "cat/labels.csv"):
        (tmp_path / name).write_bytes(name.encode())
    found = read_pictures([tmp_path, tmp_path / "cat" / "labels.csv"])
    assert [(Path(each.name).name, each.kind) for each in found] == [
        ("b.png", "image/png"),
        ("a.JPEG", "image/jpeg"),
        ("labels.csv", "application/octet-stream"),
    ]


def test_of_a_large_folder_some_are_taken_evenly(tmp_path: Path):
    for number in range(2 * MOST):
        (tmp_path / f"{number:04}.png").touch()
    assert [int(Path(each.name).stem) for each in read_pictures([tmp_path])] == list(range(0, 2 * MOST, 2))


def test_no_image_is_an_error(tmp_path: Path):
    with pytest.raises(LoadError, match="no image there"):
        read_pictures([tmp_path])
    with pytest.raises(LoadError, match="No such file"):
        read_pictures([tmp_path / "gone.png"])
    with pytest.raises(LoadError, match="cannot be decoded"):
        Picture("a", b"no", "image/png").pixels(2, 2)
