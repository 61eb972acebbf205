"""The number of a data set: it changes with pictures, labels, order and groups, and with nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from harmonic import data
from harmonic.data.fingerprint import fingerprint
from harmonic.data.images import Images
from harmonic.errors import DataError
from tests.support.pictures import dot, encoded, texture, write_zip

CONTENT = {f"{kind}/{n}.png": encoded(texture("texture0", 10 * (kind == "b") + n)) for kind in "ab" for n in range(4)}


def number(path):
    return fingerprint(data.read([path], "train"))


@pytest.fixture(params=["source", "joined", "chosen"])
def numbered(request, source, tmp_path):
    """The number of files as a folder or zip; alone, joined with others, or chosen from."""

    def of(content):
        images = data.read([source(content)], "train")
        if request.param == "joined":
            other = write_zip(tmp_path / "other.zip", {"a/x.png": dot("red"), "b/x.png": dot("blue")})
            images = data.read([other, source(content)], "train")
        return fingerprint(images.subset(np.arange(len(images))) if request.param == "chosen" else images)

    return of


def test_the_same_images_have_the_same_number(numbered):
    assert numbered(CONTENT) == numbered(CONTENT)


def test_two_images_that_change_places_give_another(numbered):
    """Corrected labels: names and counts stay as they were."""
    before = numbered(CONTENT)
    assert numbered({**CONTENT, "a/1.png": CONTENT["b/1.png"], "b/1.png": CONTENT["a/1.png"]}) != before


def test_one_other_picture_gives_another(numbered):
    before = numbered(CONTENT)
    assert numbered({**CONTENT, "b/3.png": dot("red")}) != before


def memory(labels=(0, 1, 0, 1), classes=("a", "b"), **more):
    pictures = [texture("texture1", n) for n in range(4)]
    return Images("four", classes, np.array(labels), ["w", "x", "y", "z"], pictures.__getitem__, **more)


def test_labels_groups_and_folds_belong_to_it_and_names_and_the_numbering_do_not():
    plain = fingerprint(memory())
    assert fingerprint(memory(labels=(1, 0, 0, 1))) != plain
    assert fingerprint(memory(groups=np.array([0, 0, 1, 1]))) != plain
    assert fingerprint(memory(folds=(np.array([0, 1]),))) != plain
    assert fingerprint(replace(memory(), names=["1", "2", "3", "4"], source="elsewhere")) == plain
    assert fingerprint(memory().labelled_as(("b", "c", "a"))) == plain


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    path = write_zip(tmp_path / "two.zip", {"a/1.png": dot(), "b/1.png": dot()})
    images = data.read([path], "train")
    path.unlink()
    with pytest.raises(DataError, match=r"a/1\.png cannot be read"):
        fingerprint(images)
