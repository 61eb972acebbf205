"""A short training in memory: it learns, leaves what it was given alone, and can be stopped."""

import signal

import pytest
import torch

from harmonic import zoo
from harmonic.bundles import Bundle, Card
from harmonic.data import Images
from harmonic.pixels import PixelSpec
from harmonic.training import read_recipe
from harmonic.training.brief import briefly, seconds_a_step, steps_an_epoch
from harmonic.training.trainee import Trainee
from tests.support.pictures import CLASSES, encoded, read, texture, write_zip

CHANGES = (
    "finetune={head='keep'}",
    "augment={flip=true}",
    "train.steps=30",
    "train.rate=0.02",
    "train.ema=0.8",
    "train.precision=fp32",
)
RECIPE = read_recipe("photographs-finetune", CHANGES)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    members = {f"{kind}/{seed}.png": encoded(texture(kind, seed)) for kind in CLASSES for seed in range(8)}
    return read(write_zip(tmp_path_factory.mktemp("data") / "textures.zip", members))


@pytest.fixture
def start() -> Bundle:
    torch.manual_seed(1)
    card = Card(architecture="harm_wrn10_0.5", classes=CLASSES, pixels=PixelSpec(height=12, width=12))
    return Bundle(card, zoo.create("harm_wrn10_0.5", 3).eval())


def loss(made: Bundle, images: Images) -> float:
    found = [made.predict(images.open(i)).probabilities[images.labels[i]] for i in range(len(images))]
    return float(-torch.tensor(found).log().mean())


def test_it_learns_the_same_bits_each_time_and_leaves_the_given_network_alone(start: Bundle, images: Images) -> None:
    before = {name: tensor.clone() for name, tensor in start.model.state_dict().items()}
    one, two = (briefly(RECIPE, start, images, "") for _ in range(2))
    assert loss(one, images) < loss(start, images) - 0.05
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, two.model.state_dict()[name]), name
    assert all(torch.equal(tensor, before[name]) for name, tensor in start.model.state_dict().items())
    assert not one.model.training
    assert one.card == start.card


def test_a_step_is_timed_on_a_copy(start: Bundle, images: Images) -> None:
    before = {name: tensor.clone() for name, tensor in start.model.state_dict().items()}
    assert 0 < seconds_a_step(RECIPE, start, images) < 60
    assert all(torch.equal(tensor, before[name]) for name, tensor in start.model.state_dict().items())


def test_few_images_have_several_steps_an_epoch() -> None:
    assert steps_an_epoch(RECIPE, 160) == 10
    assert steps_an_epoch(RECIPE, 3200) == 100
    assert steps_an_epoch(RECIPE, 3) == 1


def test_whoever_stops_it_is_told_and_may_stop_again(
    start: Bundle, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Trainee, "training_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        briefly(RECIPE, start, images, "")
    assert signal.getsignal(signal.SIGINT) is before
