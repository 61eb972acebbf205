"""Labelled images from what people have: classes, splits, several sources, and a choice by number."""

from pathlib import Path

import numpy as np
import pytest

from harmonic import data
from harmonic.data.images import prepare_all
from harmonic.errors import DataError
from harmonic.pixels import PixelSpec
from tests.support.pictures import CLASSES, dot, encoded, members, read, texture, write_zip


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
