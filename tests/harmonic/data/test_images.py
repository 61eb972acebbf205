import pickle

import numpy as np
import pytest
from PIL import Image

from harmonic import data
from harmonic.data.images import Images, prepare_all, prepared_batches, stratified_split
from harmonic.errors import DataError
from harmonic.pixels import PixelSpec
from tests.support.pictures import CLASSES, encoded, texture, write_zip
from tests.support.textures import write_textures


def test_a_split_takes_its_share_of_every_class():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    first, second = stratified_split(labels, 0.2, seed=1)
    assert np.bincount(labels[second]).tolist() == [20, 10, 2]
    assert np.array_equal(np.sort(np.concatenate([first, second])), np.arange(160))


def test_a_split_depends_on_its_seed_alone():
    labels = np.arange(200) % 4
    assert np.array_equal(stratified_split(labels, 0.3, 7)[1], stratified_split(labels, 0.3, 7)[1])
    assert not np.array_equal(stratified_split(labels, 0.3, 7)[1], stratified_split(labels, 0.3, 8)[1])


def test_no_share_keeps_everything():
    first, second = stratified_split(np.arange(10) % 2, 0.0, seed=1)
    assert (len(first), len(second)) == (10, 0)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_no_class_is_left_without_an_image_to_learn_from(share):
    labels = np.array([0, 1, 1, 2, 2, 2])
    assert set(labels[stratified_split(labels, share, seed=1)[0]]) == {0, 1, 2}


@pytest.fixture(params=["folder", "zip", "joined", "chosen"])
def images(request, tmp_path):
    content = {f"{kind}/{n}.png": encoded(texture(kind, n)) for kind in CLASSES for n in range(4)}
    path = write_zip(tmp_path / "t.zip", content)
    made = {
        "folder": lambda: data.read([write_textures(tmp_path / "t", classes=3, each=4, side=12)], "train"),
        "zip": lambda: data.read([path], "train"),
        "joined": lambda: data.read([path, path], "train"),
        "chosen": lambda: data.read([path], "train").subset(np.array([7, 3, 3])),
    }
    return made[request.param]()


def test_images_can_be_sent_to_worker_processes(images):
    images.open(0)
    twin = pickle.loads(pickle.dumps(images))
    assert all(twin.open(i).tobytes() == images.open(i).tobytes() for i in range(len(images)))


def test_a_subset_keeps_image_label_and_name_together(images):
    order = np.arange(len(images))[::-1]
    turned = images.subset(order)
    for new, old in enumerate(order):
        assert turned.open(new).tobytes() == images.open(int(old)).tobytes()
        assert (turned.labels[new], turned.names[new]) == (images.labels[old], images.names[old])


def test_all_images_are_prepared_in_their_order(images):
    prepared = prepare_all(images, PixelSpec(height=12, width=12), title="")
    assert prepared.dtype == np.uint8
    assert all(np.array_equal(prepared[i], np.asarray(images.open(i))) for i in range(len(images)))


def plain(count, classes=("a", "b")):
    return Images("grid", classes, np.arange(count) % len(classes), [f"n{i}" for i in range(count)], tile)


def tile(index):
    return Image.new("RGB", (2, 2), (index % 256, index // 256, 0))


def test_batches_hold_every_image_once():
    batches = list(prepared_batches(plain(600), PixelSpec(height=2, width=2), title=""))
    assert max(len(batch) for batch in batches) == 256
    rows = np.concatenate(batches)
    assert (rows[:, 0, 0, 0] + rows[:, 0, 0, 1].astype(int) * 256).tolist() == list(range(600))


def test_labels_follow_the_models_order_of_classes():
    images = plain(4).labelled_as(("z", "b", "a"))
    assert images.classes == ("z", "b", "a")
    assert images.labels.tolist() == [2, 1, 2, 1]


def test_a_class_that_the_model_lacks_is_named():
    with pytest.raises(DataError, match=r"grid has classes that the model does not answer: b; it answers a, c"):
        plain(4).labelled_as(("a", "c"))
