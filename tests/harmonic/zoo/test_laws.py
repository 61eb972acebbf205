"""Laws that every registered family keeps; a new family is held to them by registering."""

import copy

import pytest
import torch

from harmonic import zoo
from harmonic.bundles import bundle
from harmonic.errors import SpectrumError, ZooError
from tests.support.laws import assert_close, family, images, images_of_every_size, randomised, stand_in, stand_in_names

each_family = pytest.mark.parametrize("name", stand_in_names())


def lively(name):
    """A stand-in with norm statistics of its own, in evaluation mode."""
    return randomised(stand_in(name)).eval()


@each_family
def test_logits_come_one_row_an_image(name):
    assert stand_in(name)(images(2, name)).shape == (2, 3)


@each_family
def test_evaluation_is_deterministic_and_changes_nothing(name):
    model, x = lively(name), images(2, name)
    before = copy.deepcopy(model.state_dict())
    assert torch.equal(model(x), model(x))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@each_family
def test_batch_mates_do_not_matter(name):
    model, x = lively(name).double(), images(4, name).double()
    with torch.inference_mode():
        together = model(x)
        alone = torch.cat([model(image) for image in x.split(1)])
    assert_close(together, alone, ulps=2**12)  # deep sums in another order; one float32 rounding is 2**29 of these


@each_family
def test_a_finite_gradient_reaches_every_parameter(name):
    model = randomised(stand_in(name)).train()
    for batch in images_of_every_size(4, name):
        model(batch).square().sum().backward()
    gradients = {key: p.grad for key, p in model.named_parameters()}
    assert [key for key, grad in gradients.items() if grad is None or not grad.any() or not grad.isfinite().all()] == []


@each_family
def test_constants_are_no_parameters(name):
    assert all(p.requires_grad for p in stand_in(name).parameters())


@each_family
def test_a_bundle_gives_the_network_back(name, tmp_path):
    model, x = lively(name), images(2, name)
    architecture, arguments = family(name).stand_in
    card = bundle.Card(
        architecture=architecture, arguments=arguments, classes=("a", "b", "c"), pixels=family(name).pixels
    )
    bundle.save(bundle.Bundle(card, model), tmp_path / "bundle")
    loaded = bundle.load(tmp_path / "bundle")
    assert not loaded.model.training
    assert loaded.model.state_dict().keys() == model.state_dict().keys()
    with torch.inference_mode():
        assert torch.equal(loaded.model(x), model(x))


@each_family
def test_weights_loaded_after_an_answer_are_the_ones_that_answer(name):
    """What evaluation keeps must not outlive a change of weights."""
    model, other, x = lively(name), lively(name), images(2, name)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.25)
    with torch.inference_mode():
        model(x)
        model.load_state_dict(other.state_dict())
        assert torch.equal(model(x), other(x))


@each_family
@pytest.mark.parametrize("value", ["x", {"a": 1}, [[1]], -7], ids=repr)
def test_an_impossible_argument_is_told(name, value):
    architecture, arguments = family(name).stand_in
    for argument in (*family(name).arguments, "bank", "spectrum"):
        with torch.device("meta"), pytest.raises((ZooError, SpectrumError)):
            zoo.create(architecture, 3, **{**arguments, argument: value})


@each_family
def test_a_stand_in_is_small(name):
    architecture, arguments = family(name).stand_in
    with torch.device("meta"):
        assert sum(p.numel() for p in zoo.create(architecture, 10, **arguments).parameters()) < 12_000_000
