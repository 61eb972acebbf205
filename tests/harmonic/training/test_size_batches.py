"""Training on many sizes: one size a batch, every image once an epoch, the same draws again after a restart."""

import numpy as np
import pytest
import torch
from PIL import Image

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.data import Images
from harmonic.errors import RecipeError, ZooError
from harmonic.evaluation import NetworkPredictor, evaluate, larger_images
from harmonic.training.recipe import Recipe
from harmonic.training.size_batches import ScaledImages, SizeBatches, assigned_sizes, at_size
from harmonic.training.train import Where, train
from harmonic.zoo.fourier import MNIST
from tests.support.runs import LIGHTNING_ASKS

pytestmark = LIGHTNING_ASKS


def digits(count: int) -> Images:
    labels = np.arange(count) % 2
    pictures = [
        Image.new("L", (28, 28), int(90 * label + index % 5)).convert("RGB") for index, label in enumerate(labels)
    ]
    return Images("digits", ("a", "b"), labels, [f"digit {i}" for i in range(count)], pictures.__getitem__)


def recipe(architecture: str = "fourier_mnist", **data: object) -> Recipe:
    return Recipe.model_validate(
        {
            "title": "tiny",
            "model": {"architecture": architecture, "arguments": {"widths": [2, 2, 2], "hidden": 4}},
            "data": {"validation": 0.2, "sizes": [8, 10], "limit": 60, **data},
            "augment": {"circular_shift": 0.25},
            "train": {"epochs": 2, "batch": 8, "optimiser": "adamw", "rate": 0.01, "schedule": {"kind": "one-cycle"}},
        }
    )


def test_sizes_are_equal_groups_in_an_order_of_the_seed():
    sizes = assigned_sizes(210, (8, 28), seed=1)

    assert np.bincount(sizes)[8:].tolist() == [10] * 21
    assert np.array_equal(sizes, assigned_sizes(210, (8, 28), seed=1))
    assert not np.array_equal(sizes, assigned_sizes(210, (8, 28), seed=2))


@pytest.mark.parametrize("shuffled", [True, False])
def test_a_batch_has_one_size_and_an_epoch_has_every_image_once(shuffled):
    sizes = assigned_sizes(100, (8, 10), seed=0)
    batches = SizeBatches(sizes, 16, 0, shuffled=shuffled)

    drawn = [[index for _, index in batch] for batch in batches]

    assert all(len(set(sizes[batch])) == 1 and len(batch) <= 16 for batch in drawn)
    assert sorted(index for batch in drawn for index in batch) == list(range(100))
    assert len(batches) == len(drawn)


def test_every_epoch_has_its_own_order():
    batches = SizeBatches(assigned_sizes(100, (8, 10), seed=0), 16, 0, shuffled=True)
    first = list(batches)
    batches.set_epoch(1)

    assert [[i for _, i in b] for b in batches] != [[i for _, i in b] for b in first]


def test_an_image_carries_its_size():
    scaled = at_size(np.full((28, 28, 1), 7, dtype=np.uint8), 13)

    assert scaled.shape == (13, 13, 2)
    assert np.allclose(scaled[..., 0], 7)
    assert (scaled[..., 1] == 13).all()


def test_a_network_trains_on_many_sizes(tmp_path):
    bundled = bundle.load(train(recipe(), digits(80), tmp_path / "run", test=digits(20), where=Where("cpu", 1)))

    assert bundled.card.pixels.fit == "spectral"
    assert bundled.card.metrics["test"]["images"] == 20


@pytest.mark.parametrize(("architecture", "sizes"), [("fourier_mnist", None), ("wrn10_1", [8, 10])])
def test_sizes_belong_to_networks_that_need_them(architecture, sizes, tmp_path):
    plan = recipe(sizes=sizes)
    arguments = plan.model.arguments if sizes is None else {}
    plan = plan.model_copy(update={"model": type(plan.model)(architecture=architecture, arguments=arguments)})

    with pytest.raises(RecipeError, match=r"data\.sizes"):
        train(plan, digits(80), tmp_path / "run", where=Where("cpu", 1))


def narrow() -> NetworkPredictor:
    torch.manual_seed(0)
    network = zoo.create("fourier_mnist", 3, widths=[3], hidden=8).eval()
    return NetworkPredictor(network, ("a", "b", "c"), MNIST)


@pytest.mark.parametrize("size", range(8, 29))
def test_evaluation_at_a_size_is_the_networks_answer_to_images_of_that_size(size):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1), dtype=np.uint8)
    images = Images(
        "noise", ("a", "b", "c"), np.arange(3), ["0", "1", "2"], lambda i: Image.fromarray(pictures[i, ..., 0])
    )

    measured = evaluate(larger_images.with_input_side(narrow(), size), images)

    wanted = narrow()(np.stack([at_size(picture, size) for picture in pictures]))
    np.testing.assert_allclose(measured.probabilities, wanted, atol=1e-6)


@pytest.mark.parametrize("size", [7, 29])
def test_a_size_that_the_network_does_not_read_is_refused(size):
    with pytest.raises(ZooError, match=f"reads images of 8 to 28 pixels, not of {size}"):
        larger_images.with_input_side(narrow(), size)


def test_training_images_of_many_sizes_are_cut_as_when_served():
    """A wide image loses its sides, as it does in the service, and is not squashed."""
    wide = np.zeros((28, 84), np.uint8)
    wide[:, 28:56] = np.random.default_rng(0).integers(0, 256, (28, 28))
    images = Images("wide", ("a",), np.zeros(1, np.int64), ["w"], lambda index: Image.fromarray(wide).convert("RGB"))

    pixels, _ = ScaledImages(images, MNIST, (28, 28), 0, shift=0.0)[0, 0]

    np.testing.assert_allclose(pixels[..., 0], wide[:, 28:56], atol=1e-3)
