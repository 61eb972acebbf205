"""Answers as sure as they are right, and no answer another."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional as F

from harmonic import zoo
from harmonic.errors import ZooError
from harmonic.pixels import PixelSpec
from harmonic.training.temperature import best_temperature, cooled, divide_logits, scales

SPEC = PixelSpec(height=40, width=40)


@pytest.mark.parametrize("sure", [0.3, 1.0, 4.0])
def test_the_temperature_is_the_one_with_the_least_loss(sure):
    torch.manual_seed(0)
    logits = torch.randn(400, 5) * 2
    labels = torch.distributions.Categorical(logits=logits).sample()
    found = best_temperature(logits * sure, labels)

    def loss(temperature):
        return float(F.cross_entropy(logits.double() * sure / temperature, labels))

    assert found == pytest.approx(minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x, rel=1e-3)
    assert found == pytest.approx(sure, rel=0.2)


@pytest.mark.parametrize(("right", "bound"), [(True, 0.05), (False, 20.0)])
def test_answers_that_are_always_right_or_wrong_meet_the_bounds(right, bound):
    logits = torch.eye(4) * 3
    labels = torch.arange(4) if right else torch.arange(4).roll(1)
    assert best_temperature(logits, labels) == pytest.approx(bound, rel=1e-6)


@pytest.mark.parametrize(
    "name", ["harm_wrn10_0.5", "torchvision/squeezenet1_1", "timm/test_efficientnet", "harm_lesion"]
)
def test_logits_are_divided(name):
    network = zoo.create(name, 3).eval()
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, 40, 40)).astype(np.float32))
    with torch.no_grad():
        before = network(images)
        divide_logits(network, SPEC, 2.5)
        assert torch.allclose(network(images) * 2.5, before, rtol=1e-4, atol=1e-5)


def test_a_network_that_does_more_with_its_last_layer_is_refused_and_left_as_it_was():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(40 * 40 * 3, 3), torch.nn.LayerNorm(3))
    before = network[1].weight.clone()
    assert not scales(network, SPEC)
    with pytest.raises(ZooError, match="no multiple"):
        divide_logits(network, SPEC, 2.0)
    assert torch.equal(network[1].weight, before)


def test_cooled_answers_are_those_of_divided_logits():
    torch.manual_seed(0)
    logits = torch.randn(20, 5, dtype=torch.float64) * 4
    found = cooled(torch.softmax(logits, 1).numpy(), 2.5)
    np.testing.assert_allclose(found, torch.softmax(logits / 2.5, 1).numpy(), rtol=1e-9)
    sure = cooled(np.array([[1.0, 0.0]]), 10.0)
    assert np.isfinite(sure).all()
    assert sure[0, 0] > 0.99
