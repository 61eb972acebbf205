import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harmonic import data
from harmonic.data.images import check_all, prepare_all
from harmonic.errors import DataError
from harmonic.pixels import PixelSpec
from tests.support.pictures import CLASSES, encoded, texture, write_zip

SPEC = PixelSpec(height=12, width=12)


def dot(colour="red"):
    return encoded(Image.new("RGB", (4, 4), colour))


def members(*names):
    return {name: dot() for name in names}


@pytest.fixture(params=["folder", "zip"])
def source(request, tmp_path):
    """Lays members out as a folder or as a zip; every promise holds for both."""

    def lay_out(content):
        if request.param == "zip":
            return write_zip(tmp_path / "pictures.zip", content)
        for name, raw in content.items():
            path = tmp_path / "pictures" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        return tmp_path / "pictures"

    return lay_out


def read(*paths, split="train"):
    return data.read(list(paths), split)


def test_every_folder_is_a_class(source):
    images = read(source(members("cat/1.png", "cat/2.png", "dog/1.png", "Ährenfeld/x.png")))
    assert images.classes == ("cat", "dog", "Ährenfeld")
    assert images.labels.tolist() == [0, 0, 1, 2]
    assert len(images) == 4


def test_labels_and_pixels_belong_together(source):
    content = {f"{kind}/{n}.png": encoded(texture(kind, n)) for kind in CLASSES for n in range(3)}
    images = read(source(content))
    for index in range(len(images)):
        name = images.names[index].split("/", 1)[1]
        kind, number = name.split("/")
        assert images.classes[images.labels[index]] == kind
        assert np.array_equal(np.asarray(images.open(index)), np.asarray(texture(kind, int(number[0]))))


def test_hidden_files_and_what_archivers_add_are_left_out(source):
    junk = members("cat/.hidden.png", ".git/x/1.png", "__MACOSX/cat/._1.png", "cat/._1.png")
    images = read(source({**members("cat/1.png", "dog/1.png"), **junk, "cat/notes.txt": b"x", "labels.csv": b"y"}))
    assert len(images) == 2


def test_suffixes_count_in_any_case(source):
    assert len(read(source(members("a/1.PNG", "a/2.JPeG", "b/3.WebP", "b/4.TIF", "b/5.pdf")))) == 4


def test_folders_inside_a_class_belong_to_it(source):
    images = read(source(members("cat/siamese/1.png", "cat/2.png", "dog/siamese/1.png")))
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [0, 0, 1]


def test_a_folder_around_everything_is_looked_through(source):
    images = read(source({**members("pets/v2/cat/1.png", "pets/v2/dog/1.png"), "pets/README.md": b"hello"}))
    assert images.classes == ("cat", "dog")


def test_splits_are_found_under_a_folder_around_everything(source):
    path = source(members("pets/train/cat/1.png", "pets/train/dog/1.png", "pets/test/cat/2.png", "pets/test/dog/2.png"))
    assert len(read(path)) == 2
    assert all("/test/" in name for name in read(path, split="test").names)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "VALID", "Testing")])
def test_train_val_and_test_are_kept_apart(source, names):
    path = source(members(*(f"{top}/{kind}/{top}.png" for top in names for kind in ("cat", "dog"))))
    for split, top in zip(("train", "val", "test"), names, strict=True):
        assert data.has_split(path, split)
        assert [Path(name).stem for name in read(path, split=split).names] == [top, top]


def test_a_source_without_a_test_folder_is_tested_on_its_val_folder(source):
    path = source(members("train/cat/1.png", "train/dog/1.png", "val/cat/2.png", "val/dog/2.png"))
    assert not data.has_split(path, "test")
    assert all("val" in name for name in read(path, split="test").names)


def test_a_source_without_splits_is_taken_whole(source):
    path = source(members("cat/1.png", "dog/1.png"))
    assert [data.has_split(path, split) for split in ("train", "val", "test")] == [False] * 3
    assert len(read(path, split="test")) == len(read(path, split="train")) == 2


def test_a_class_called_train_is_a_class(source):
    assert read(source(members("train/1.png", "plane/1.png"))).classes == ("plane", "train")


def test_a_split_that_is_missing_is_told(source):
    path = source(members("test/cat/1.png", "test/dog/1.png"))
    with pytest.raises(DataError, match="none is for train"):
        read(path)


def test_several_sources_are_joined(tmp_path):
    first = write_zip(tmp_path / "a.zip", {"cat/1.png": dot("red"), "dog/1.png": dot("blue")})
    second = write_zip(tmp_path / "b.zip", {"cat/2.png": dot("green"), "dog/2.png": dot("white")})
    images = read(first, second)
    assert images.source == "a.zip + b.zip"
    assert images.labels.tolist() == [0, 1, 0, 1]
    colours = [images.open(index).getpixel((0, 0)) for index in range(4)]
    assert colours == [(255, 0, 0), (0, 0, 255), (0, 128, 0), (255, 255, 255)]


def test_sources_with_other_classes_are_refused_by_name(tmp_path):
    first = write_zip(tmp_path / "a.zip", members("cat/1.png", "dog/1.png"))
    second = write_zip(tmp_path / "b.zip", members("cat/1.png", "bird/1.png"))
    with pytest.raises(DataError, match=r"a\.zip: cat, dog; b\.zip: bird, cat"):
        read(first, second)


def test_nothing_is_refused(tmp_path):
    with pytest.raises(DataError, match="no data given"):
        read()
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no such file"):
        data.has_split(tmp_path / "nowhere", "test")


def test_an_empty_source_is_refused(source, tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DataError, match="no images in class folders"):
        read(source({}))


def test_images_outside_class_folders_are_refused(source):
    with pytest.raises(DataError, match="wanted <class>/<image>"):
        read(source(members("1.png", "2.png")))


def test_a_single_class_is_refused_by_name(source):
    with pytest.raises(DataError, match="single class 'cat'"):
        read(source(members("cat/1.png", "cat/2.png")))


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


def test_a_member_that_stands_twice_in_a_zip_counts_once(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        import zipfile

        with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
            for name in ("a/1.png", "a/1.png", "b/1.png"):
                archive.writestr(name, dot())
    assert len(read(tmp_path / "twice.zip")) == 2


# --- the real data sets ---


@pytest.fixture
def real():
    """Path of a file of the real data sets; skips where it is absent, and says which."""

    def find(name):
        root = os.environ.get("HARMONIC_DATA")
        if root is None:
            pytest.skip(f"HARMONIC_DATA is not set; wanted {name}")
        path = Path(root) / name
        if not path.exists():
            pytest.skip(f"{path} is absent")
        return path

    return find


@pytest.mark.data
def test_the_real_cifar10_has_its_counts_and_mean(real):
    parts = [real("cifar10-train-1.zip"), real("cifar10-train-2.zip")]
    images = data.read(parts, "train")
    assert images.classes == (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    assert np.bincount(images.labels).tolist() == [5000] * 10
    sample = prepare_all(images.subset(np.arange(0, 50_000, 25)), PixelSpec(height=32, width=32), title="")
    assert (sample.mean(axis=(0, 1, 2)) / 255).tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.01)


@pytest.mark.data
def test_the_real_test_images_are_a_thousand_of_each_class(real):
    assert np.bincount(read(real("cifar10-test.zip"), split="test").labels).tolist() == [1000] * 10


@pytest.mark.data
def test_the_real_mnist_is_read_whole(real):
    folder = real("mnist")
    assert len(read(folder)) == 60_000
    digits = read(folder, split="test")
    assert np.bincount(digits.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.asarray(digits.open(0)).shape == (28, 28, 3)


@pytest.mark.data
def test_real_pictures_without_class_folders_are_refused(real):
    with pytest.raises(DataError, match="no images in class folders"):
        read(real("imagenet-sample-100.zip"))


def numbered(tmp_path, content):
    (tmp_path / "numbers.txt").write_bytes(content)
    return data.only(
        read(write_zip(tmp_path / "ten.zip", members(*(f"{'ab'[n % 2]}/{n}.png" for n in range(10))))),
        tmp_path / "numbers.txt",
    )


def test_images_are_chosen_by_number_each_once(tmp_path):
    chosen = numbered(tmp_path, b"7 0\n3\t3 7\n")
    assert [name.rpartition("/")[2] for name in chosen.names] == ["0.png", "6.png", "5.png"]
    assert chosen.labels.tolist() == [0, 0, 1]
    assert chosen.source == "ten.zip, numbers.txt"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "from 0 to 9"),
        (b"10", "from 0 to 9"),
        (b"-1 3", "from 0 to 9"),
        (b"1 two", "white space between"),
        (b"1.5", "white space between"),
        (b"99999999999999999999", "white space between"),
        (b"\xff\xfe", "white space between"),
    ],
)
def test_numbers_that_name_no_image_are_told(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        numbered(tmp_path, content)


def test_a_file_of_numbers_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match="white space between"):
        data.only(read(write_zip(tmp_path / "two.zip", members("a/1.png", "b/1.png"))), tmp_path / "none.txt")
