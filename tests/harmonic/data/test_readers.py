"""A data set is one function that registers itself, and is then read like every other."""

import numpy as np
import pytest
from PIL import Image

from harmonic import data
from harmonic.data.images import Images
from harmonic.data.readers import reader, reader_of
from harmonic.errors import DataError


def knows(path):
    return path.suffix == ".shades"


def shade(index):
    return Image.new("RGB", (4, 4), (index, index, index))


@reader(knows)
def read_shades(path, split):
    count = {"train": 4, "test": 2}[split]
    labels = np.arange(count, dtype=np.int64) % 2
    return Images(f"shades {split}", ("even", "odd"), labels, [str(i) for i in range(count)], shade)


@reader(knows)
def read_shades_again(path, split):
    raise AssertionError("the first that knows a path reads it")


@pytest.fixture
def shades(tmp_path):
    path = tmp_path / "grey.shades"
    path.touch()
    return path


def test_a_registered_data_set_is_read_as_any_other(shades):
    images = data.read([shades], "train")
    assert (images.classes, images.labels.tolist()) == (("even", "odd"), [0, 1, 0, 1])
    assert images.open(3).getpixel((0, 0)) == (3, 3, 3)
    assert len(data.read([shades, shades], "test")) == 4


def test_it_has_its_own_two_parts_and_no_validation_images(shades):
    assert [data.has_split(shades, part) for part in ("train", "test", "val")] == [True, True, False]
    with pytest.raises(DataError, match="no validation images of its own"):
        data.read([shades], "val")


def test_the_reader_that_was_registered_first_reads(shades):
    assert reader_of(shades) is read_shades


def test_what_no_reader_knows_is_class_folders(tmp_path):
    assert reader_of(tmp_path) is None
