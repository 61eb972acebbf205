"""Pictures on disk: three formats, equal drawings equal files, places that cannot be written."""

import pytest
from matplotlib.figure import Figure

from harmonic.errors import PictureError
from harmonic.picture import must_be_picture, write_picture


def drawing():
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([1, 2], [2, 1])
    return figure


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.PNG", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.pdf", b"%PDF")]
)
def test_the_suffix_chooses_the_format_and_the_folder_is_made(tmp_path, name, start):
    write_picture(drawing(), tmp_path / "new" / name)
    assert (tmp_path / "new" / name).read_bytes().startswith(start)


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_equal_drawings_are_equal_files(tmp_path, monkeypatch, suffix):
    write_picture(drawing(), tmp_path / f"one{suffix}")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")  # as if it were drawn at another time
    write_picture(drawing(), tmp_path / f"two{suffix}")
    assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()


@pytest.mark.parametrize("name", ["a.jpg", "a", "png", "a.png.txt"])
def test_other_kinds_are_refused(tmp_path, name):
    with pytest.raises(PictureError, match=r"a picture is a \.png, \.svg or \.pdf file"):
        must_be_picture(tmp_path / name)
    with pytest.raises(PictureError):
        write_picture(drawing(), tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PictureError, match=r"b\.png: cannot be written"):
        write_picture(drawing(), tmp_path / "file" / "b.png")
