"""The files of a folder or zip: what is left out, and what is no archive."""

import pytest

from harmonic.errors import DataError
from tests.support.pictures import dot, members, read, write_zip


def test_hidden_files_and_what_archivers_add_are_left_out(source):
    junk = members("cat/.hidden.png", ".git/x/1.png", "__MACOSX/cat/._1.png", "cat/._1.png")
    images = read(source({**members("cat/1.png", "dog/1.png"), **junk, "cat/notes.txt": b"x", "labels.csv": b"y"}))
    assert len(images) == 2


def test_suffixes_count_in_any_case(source):
    assert len(read(source(members("a/1.PNG", "a/2.JPeG", "b/3.WebP", "b/4.TIF", "b/5.pdf")))) == 4


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing", b"plain text"])
def test_a_file_that_is_no_zip_is_refused(tmp_path, content):
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.zip: neither a folder nor a readable zip"):
        read(tmp_path / "bad.zip")


def test_a_zip_cut_short_is_refused(tmp_path):
    whole = write_zip(tmp_path / "pictures.zip", members("cat/1.png", "dog/1.png")).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.zip"):
        read(tmp_path / "cut.zip")


def test_a_member_that_stands_twice_in_a_zip_counts_once(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        import zipfile

        with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
            for name in ("a/1.png", "a/1.png", "b/1.png"):
                archive.writestr(name, dot())
    assert len(read(tmp_path / "twice.zip")) == 2
