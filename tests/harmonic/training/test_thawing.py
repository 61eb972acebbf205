"""Which layers learn, when and how fast."""

import pytest
import torch
from torch import nn

from harmonic import zoo
from harmonic.errors import RecipeError
from harmonic.training.recipe import FinetuneSection, TrainSection
from harmonic.training.thawing import Thawing, depths, forget_gradients, freeze, must_fit

SECTION = TrainSection(epochs=9, rate=0.8, weight_decay=0.01, schedule={"kind": "cosine"})


def net():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4, 2)
    )


def frozen(network, section, epoch):
    held = Thawing(network, section).frozen(epoch)
    return [name for name, module in network.named_modules() if module in held]


def test_a_norm_lies_with_the_layer_before_it():
    network = net()
    assert [(network[place], depth) for place, depth in ((0, 0), (1, 0), (3, 0.5), (5, 1))] == depths(network)


@pytest.mark.parametrize(
    "name", ["harm_wrn10_0.5", "harm_resnet18", "torchvision/squeezenet1_1", "timm/test_efficientnet"]
)
def test_every_parameter_of_a_network_is_in_one_group(name):
    network = zoo.create(name, 5)
    groups = Thawing(network, FinetuneSection(lowest_rate=0.1)).groups(SECTION)
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(map(id, grouped))) == len(list(network.parameters()))
    assert min(group["lr"] for group in groups) == pytest.approx(0.08)
    assert max(group["lr"] for group in groups) == pytest.approx(0.8)


def test_rates_fall_geometrically_and_norms_may_be_spared_the_decay():
    network = net()
    section = SECTION.model_copy(update={"decay_norms": False})
    groups = Thawing(network, FinetuneSection(lowest_rate=0.25)).groups(section)
    by_parameter = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert by_parameter[id(network[0].weight)] == pytest.approx((0.2, 0.01))
    assert by_parameter[id(network[1].weight)] == pytest.approx((0.2, 0.0))
    assert by_parameter[id(network[3].weight)] == pytest.approx((0.4, 0.01))
    assert by_parameter[id(network[5].weight)] == pytest.approx((0.8, 0.01))
    assert by_parameter[id(network[5].bias)] == pytest.approx((0.8, 0.0))


def test_the_head_learns_first_and_the_first_layer_last():
    network, section = net(), FinetuneSection(head_epochs=2, thaw_epochs=2)
    wanted = [["0", "1", "3"], ["0", "1", "3"], ["0", "1", "3"], ["0", "1"], [], []]
    assert [frozen(network, section, epoch) for epoch in range(6)] == wanted


def test_without_a_plan_every_layer_learns_at_once():
    assert frozen(net(), FinetuneSection(), 0) == []


def test_norms_may_stay_as_they_are():
    network = net()
    held = Thawing(network, FinetuneSection(freeze_norms=True)).frozen(7)
    assert held == [network[1]]
    network.train()
    freeze(held)
    before = network[1].running_mean.clone()
    network(torch.randn(3, 3, 5, 5)).sum().backward()
    assert torch.equal(network[1].running_mean, before)
    forget_gradients(held)
    assert network[1].weight.grad is None
    assert network[0].weight.grad is not None


def test_a_plan_that_leaves_no_epoch_for_all_layers_is_refused():
    must_fit(FinetuneSection(), 1)
    must_fit(FinetuneSection(head_epochs=1, thaw_epochs=1), 3)
    with pytest.raises(RecipeError, match="leave none of 2 epochs"):
        must_fit(FinetuneSection(head_epochs=1, thaw_epochs=1), 2)
