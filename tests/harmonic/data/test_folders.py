"""No image vanishes silently, whatever made the folder or zip: links, other formats, names like splits, Windows."""

import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from harmonic import data
from harmonic.data.images import prepare_all
from harmonic.errors import DataError
from harmonic.pixels import PixelSpec
from tests.support.commands import harmonic
from tests.support.pictures import dot, encoded, members, read, write_zip
from tests.support.trained import saved

CELLS = PixelSpec(height=4, width=4)


def written(path, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dot() if content is None else content)


def test_links_to_class_folders_are_followed(tmp_path):
    for name in ("store/felines/1.png", "store/felines/deep/2.png", "pets/dog/1.png"):
        written(tmp_path / name)
    (tmp_path / "pets" / "cat").symlink_to(tmp_path / "store" / "felines", target_is_directory=True)
    images = read(tmp_path / "pets")
    assert (images.classes, images.labels.tolist()) == (("cat", "dog"), [0, 0, 1])
    assert len(prepare_all(images, CELLS, title="")) == 3


def test_a_link_that_leads_back_up_ends(tmp_path):
    for name in ("pets/cat/1.png", "pets/dog/1.png"):
        written(tmp_path / name)
    (tmp_path / "pets" / "dog" / "again").symlink_to(tmp_path / "pets", target_is_directory=True)
    assert len(read(tmp_path / "pets")) == 2


def test_a_broken_link_is_told_by_name(tmp_path):
    for name in ("pets/cat/1.png", "pets/dog/1.png"):
        written(tmp_path / name)
    (tmp_path / "pets" / "dog" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"1 of 3 images.*dog/gone\.png.*No such file"):
        prepare_all(read(tmp_path / "pets"), CELLS, title="")


def test_a_pipe_is_no_image(tmp_path):
    for name in ("pets/cat/1.png", "pets/dog/1.png"):
        written(tmp_path / name)
    os.mkfifo(tmp_path / "pets" / "dog" / "2.png")
    assert len(prepare_all(read(tmp_path / "pets"), CELLS, title="")) == 2


@pytest.mark.parametrize("lost", [{"eel/1.jxl": b"x", "eel/2.JXL": b"x"}, {"eel/notes.txt": b"x"}])
@pytest.mark.parametrize("above", ["", "pets/", "train/", "pets/train/"])
def test_a_class_without_an_image_is_an_error_that_says_what_it_holds(source, lost, above):
    content = {**members("cat/1.png", "dog/1.png"), **lost}
    path = source({above + name: raw for name, raw in content.items()})
    kind = "2 .jxl files" if len(lost) == 2 else "1 .txt files"
    with pytest.raises(DataError, match=rf"1 class folders without an image .*eel \({kind}\).*Convert"):
        read(path)


def test_a_class_beside_one_with_inner_folders_is_not_lost(source):
    path = source({**members("cat/siamese/1.png", "cat/manx/1.png"), "dog/1.jxl": b"x"})
    with pytest.raises(DataError, match=r"dog \(1 \.jxl files\)"):
        read(path)


def test_an_empty_class_folder_is_an_error(tmp_path):
    for name in ("pets/cat/1.png", "pets/dog/1.png"):
        written(tmp_path / name)
    (tmp_path / "pets" / "eel").mkdir()
    with pytest.raises(DataError, match=r"eel \(nothing\)"):
        read(tmp_path / "pets")


def test_every_file_that_is_not_taken_is_counted(source):
    junk = {"cat/2.jxl": b"x", "dog/3.jxl": b"x", "cat/notes.txt": b"x", "README": b"x", "5.png": dot()}
    images = read(source({**members("cat/1.png", "dog/1.png"), **junk}))
    assert len(images) == 2
    assert images.left_out == {
        ".jxl files": 2,
        ".txt files": 1,
        "files without a suffix": 1,
        "images outside class folders": 1,
    }


def test_what_lies_beside_splits_is_counted_and_other_splits_are_not(source):
    content = members(
        "train/cat/1.png", "train/dog/1.png", "train/2.png", "test/cat/1.png", "test/dog/1.png", "more/cat/1.png"
    )
    path = source({**content, "test/cat/3.jxl": b"x", "train/cat/4.jxl": b"x"})
    images = read(path)
    assert len(images) == 2
    assert images.left_out == {".jxl files": 1, "images outside train/<class>/": 2}
    assert read(path, split="test").left_out == {".jxl files": 1, "images outside test/<class>/": 1}


def test_joined_sources_add_their_counts(tmp_path):
    paths = [
        write_zip(tmp_path / f"{name}.zip", {**members("cat/1.png", "dog/1.png"), "cat/2.jxl": b"x"}) for name in "ab"
    ]
    assert read(*paths).left_out == {".jxl files": 2}


def test_a_class_called_train_with_inner_folders_is_a_class(source):
    images = read(source(members("train/steam/1.png", "train/diesel/1.png", "plane/1.png", "boat/1.png")))
    assert images.classes == ("boat", "plane", "train")
    assert len(images) == 4


def test_a_folder_that_may_be_class_or_split_is_asked_about(source):
    path = source(members("train/cat/1.png", "train/dog/1.png", "plane/1.png"))
    with pytest.raises(DataError, match=r"holds train beside plane: if that is a split, .* if it is a class"):
        read(path)


# --- zips from elsewhere ---


def zipped(path, names, *, system=3, encoding=None):
    """A zip as other tools write it: of another system, or with names in an encoding and without UTF-8's flag."""

    class Member(zipfile.ZipInfo):
        def _encodeFilenameFlags(self):  # what zipfile asks for a name's bytes and flags
            return (self.filename.encode(encoding), 0) if encoding else super()._encodeFilenameFlags()

    with zipfile.ZipFile(path, "w") as archive:
        for number, name in enumerate(names):
            member = Member(name)
            member.filename, member.create_system = name, system
            archive.writestr(member, b"" if name.endswith(("/", "\\")) else dot(["red", "lime", "blue"][number % 3]))
    return path


@pytest.mark.parametrize("system", [0, 3])
def test_backslashes_of_windows_are_separators(tmp_path, system):
    path = zipped(tmp_path / "w.zip", ["pets\\", "pets\\cat\\", "pets\\cat\\1.png", "pets\\dog\\2.png"], system=system)
    images = read(path)
    assert images.classes == ("cat", "dog")
    assert [images.open(index).getpixel((0, 0)) for index in range(2)] == [(0, 0, 255), (255, 0, 0)]


def test_a_backslash_in_a_name_from_unix_is_a_letter(tmp_path):
    assert read(zipped(tmp_path / "u.zip", ["cat/1\\2.png", "dog/1.png"])).classes == ("cat", "dog")


def test_utf8_names_without_the_flag_are_read_as_utf8(tmp_path):
    path = zipped(tmp_path / "n.zip", ["Ährenfeld/ü.png", "Öl/ß.png", "plain/1.png"], encoding="utf-8")
    images = read(path)
    assert images.classes == ("plain", "Ährenfeld", "Öl")
    assert len(prepare_all(images, CELLS, title="")) == 3


def test_names_of_the_old_character_set_stay_as_they_are(tmp_path):
    path = zipped(tmp_path / "o.zip", ["Äpfel/1.png", "Öl/1.png"], encoding="cp437")
    assert read(path).classes == ("Äpfel", "Öl")


def test_an_accent_that_is_stored_apart_makes_no_second_class(tmp_path):
    """macOS stores an A and two dots where others store one letter."""
    first = write_zip(tmp_path / "a.zip", members("A\u0308pfel/1.png", "dog/1.png"))
    second = write_zip(tmp_path / "b.zip", members("\u00c4pfel/2.png", "dog/2.png"))
    assert read(first, second).classes == ("dog", "\u00c4pfel")


# --- broken files ---


@pytest.mark.parametrize("content", [b"", b"\x00\x00\x00\x18ftypjxl  and more", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_a_broken_file_is_called_by_its_name_alone(source, content):
    images = read(source({**members("a/1.png", "b/1.png"), "b/odd.jpg": content}))
    with pytest.raises(DataError, match=r"1 of 3 images.*b/odd\.jpg") as caught:
        prepare_all(images, CELLS, title="")
    assert "object at" not in str(caught.value)
    assert "no JPEG, PNG" in str(caught.value)


@pytest.mark.parametrize("kind", ["PPM", "TGA", "ICNS", "JPEG2000", "EPS", "PCX"])
def test_only_the_services_formats_are_decoded(source, kind):
    """Each further decoder of Pillow is one more that a prepared file can attack."""
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    picture = Image.fromarray(np.zeros((64, 64, 3), np.uint8))
    images = read(source({**members("a/1.png", "b/1.png"), "b/disguised.png": encoded(picture, kind)}))
    with pytest.raises(DataError, match=r"disguised\.png \(no JPEG, PNG"):
        prepare_all(images, CELLS, title="")


def test_evaluation_tells_of_what_it_left_out_too(source):
    path = source({**members("cat/1.png", "dog/1.png"), "dog/2.jxl": b"x"})
    assert data.read([path], "test").left_out == {".jxl files": 1}


def test_the_command_tells_what_evaluation_left_out(tmp_path):
    folder = saved(tmp_path / "bundle", "wrn10_0.5", None)
    path = write_zip(tmp_path / "p.zip", {**members("a/1.png", "b/1.png"), "b/2.jxl": b"x"})
    ended = harmonic("evaluate", folder, "--data", path, "--json")
    assert ended.exit_code == 0, ended.output
    assert "Left out of p.zip: 1 .jxl files." in ended.stderr
