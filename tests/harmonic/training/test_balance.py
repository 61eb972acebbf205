"""Training on unbalanced classes: what is drawn, how it is corrected, what is recorded."""

import json

import numpy as np
import pytest
from PIL import Image

from harmonic.bundles import bundle
from harmonic.data.sources import Images
from harmonic.errors import RecipeError
from harmonic.training.balance import class_weights
from harmonic.training.loaders import EpochSampler
from harmonic.training.recipe import Recipe
from harmonic.training.size_batches import SizeBatches, assigned_sizes
from harmonic.training.train import Where, train
from tests.support.runs import LIGHTNING_ASKS

CPU = Where("cpu", 1)
pytestmark = LIGHTNING_ASKS


def coloured(counts: tuple[int, ...]) -> Images:
    """Images that show their class as brightness; two neighbours are one lesion."""
    labels = np.repeat(np.arange(len(counts)), counts)
    pictures = [Image.new("RGB", (16, 16), (60 * int(label) + index % 7,) * 3) for index, label in enumerate(labels)]
    names = [f"picture {index}" for index in range(len(labels))]
    return Images(
        "colours", ("a", "b", "c")[: len(counts)], labels, names, pictures.__getitem__, np.arange(len(labels)) // 2
    )


def recipe(**changes: object) -> Recipe:
    plan = {
        "title": "tiny",
        "model": {"architecture": "harm_lesion", "arguments": {"width": 2}},
        "data": {"validation": 0.25, "balance": "sampling"},
        "augment": {"flip": True, "quarter_turns": True},
        "train": {"epochs": 1, "batch": 8, "optimiser": "adamw", "rate": 0.01, "schedule": {"kind": "one-cycle"}},
        "pixels": {"height": 16, "width": 16},
        "license": "CC-BY-NC-4.0",
        "notice": "Research, not a medical device.",
    }
    return Recipe.model_validate({**plan, **changes})


def test_sampling_draws_every_class_equally_often():
    images = coloured((400, 40, 20))
    draw = class_weights(images)[images.labels] / len(images)

    drawn = [index for epoch in range(20) for _, index in _epoch(EpochSampler(460, 20, 1, draw), epoch)]

    shares = np.bincount(images.labels[drawn]) / len(drawn)
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.02)


def _epoch(sampler: EpochSampler, epoch: int) -> list[tuple[int, int]]:
    sampler.set_epoch(epoch)
    return list(sampler)


def test_class_weights_make_every_class_weigh_the_same():
    images = coloured((30, 6))

    weights = class_weights(images)[images.labels]

    assert weights[images.labels == 0].sum() == pytest.approx(weights[images.labels == 1].sum())
    assert weights.mean() == pytest.approx(1)


NETWORKS = {
    "lesions": ("harm_lesion", {"width": 2}),
    "photographs": ("wrn10_0.5", {}),
    "layers": ("harm_wrn10_0.5", {}),
}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("balance", ["loss", "sampling"])
def test_a_balanced_run_records_shares_split_licence_and_both_readings(kind, balance, tmp_path):
    images = coloured((40, 12, 12))
    architecture, arguments = NETWORKS[kind]
    section = {"architecture": architecture, "arguments": arguments}
    plan = recipe(data={"validation": 0.25, "balance": balance}, model=section)

    card = bundle.load(train(plan, images, tmp_path / "run", test=images, where=CPU)).card

    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert not set(split["train"]) & set(split["validation"])
    assert len(split["train"]) + len(split["validation"]) == 64
    assert sum(card.metrics["class_shares"].values()) == pytest.approx(1)
    assert {"test", "test_for_even_classes"} <= card.metrics.keys()
    assert (card.license, card.notice) == ("CC-BY-NC-4.0", "Research, not a medical device.")


def test_a_network_that_cannot_be_corrected_is_refused(tmp_path):
    plan = recipe(model={"architecture": "torchvision/squeezenet1_1"}, pixels={"height": 32, "width": 32})

    with pytest.raises(RecipeError, match=r"squeezenet1_1 cannot be corrected .* drop data.balance"):
        train(plan, coloured((40, 12)), tmp_path / "run", where=CPU)


def test_a_loss_of_its_own_cannot_be_weighed(tmp_path):
    section = {"architecture": "fourier_mnist", "arguments": {"widths": [2], "hidden": 4}}
    plan = recipe(model=section, data={"sizes": [8, 10], "balance": "loss"}, pixels=None)

    with pytest.raises(RecipeError, match=r'knows no weights. Set data.balance to "sampling"'):
        train(plan, coloured((40, 12)), tmp_path / "run", where=CPU)


def test_a_loss_of_its_own_is_not_for_muon(tmp_path):
    section = {"architecture": "fourier_mnist", "arguments": {"widths": [2], "hidden": 4}}
    plan = recipe(model=section, data={"sizes": [8, 10]}, pixels=None)
    plan = plan.model_copy(update={"train": plan.train.model_copy(update={"optimiser": "muon"})})

    with pytest.raises(RecipeError, match=r'fourier_mnist brings a loss of its own. Set train.optimiser to "sgd"'):
        train(plan, coloured((40, 12)), tmp_path / "run", where=CPU)


def test_batches_of_one_size_draw_every_class_equally_often():
    images = coloured((400, 40, 20))
    sizes = assigned_sizes(460, (8, 10), seed=0)
    batches = SizeBatches(sizes, 20, 1, shuffled=True, draw=class_weights(images)[images.labels])

    drawn = []
    for epoch in range(30):
        batches.set_epoch(epoch)
        drawn += [index for batch in batches for _, index in batch]

    assert len(drawn) == 30 * 460
    assert (np.bincount(images.labels[drawn]) / len(drawn)).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
