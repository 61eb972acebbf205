from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, MultiStepLR

from harmonic import zoo
from harmonic.training.muon import Muon
from harmonic.training.optimisation import (
    optimiser,
    parameter_groups,
    rate_factor,
    running_mean,
    schedule,
    turned_groups,
)
from harmonic.training.recipe import CosineSchedule, StepSchedule, TrainSection


def rates(plan, steps, epochs):
    """The rate of every step, as an optimiser sees it."""
    section = TrainSection(epochs=epochs, rate=0.1, schedule=plan)
    chosen = optimiser(section, [{"params": [nn.Parameter(torch.zeros(2, 2))]}])
    scheduler, seen = schedule(section, chosen, steps), []
    for _ in range(steps):
        seen.append(chosen.param_groups[0]["lr"])
        chosen.step()
        scheduler.step()
    return seen


def of_torch(make, calls):
    chosen = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler, seen = make(chosen), []
    for _ in range(calls):
        seen.append(chosen.param_groups[0]["lr"])
        chosen.step()
        scheduler.step()
    return seen


@pytest.mark.parametrize("steps_an_epoch", [1, 3, 7, 49])
def test_steps_fall_after_their_milestones_as_in_pytorch(steps_an_epoch):
    by_epoch = of_torch(lambda chosen: MultiStepLR(chosen, [2, 5, 6], 0.2), 10)
    wanted = [rate for rate in by_epoch for _ in range(steps_an_epoch)]
    plan = StepSchedule(kind="step", milestones=(2, 5, 6), factor=0.2)
    assert rates(plan, 10 * steps_an_epoch, 10) == pytest.approx(wanted, rel=1e-12)


def test_the_cosine_is_pytorchs():
    wanted = of_torch(lambda chosen: CosineAnnealingLR(chosen, 40, eta_min=0.01), 40)
    assert rates(CosineSchedule(kind="cosine", final=0.1), 40, 8) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    "plan", [StepSchedule(kind="step", milestones=(), warmup=2), CosineSchedule(kind="cosine", warmup=2)]
)
def test_a_warm_up_rises_evenly_to_the_whole_rate(plan):
    wanted = of_torch(lambda chosen: LinearLR(chosen, start_factor=1 / 10, total_iters=9), 10)
    assert rates(plan, 30, 6)[:10] == pytest.approx(wanted, rel=1e-9)
    assert rates(plan, 30, 6)[10] == pytest.approx(0.1)


def test_a_warm_up_as_long_as_the_run_never_falls():
    seen = rates(CosineSchedule(kind="cosine", warmup=9), 12, 3)
    assert seen == sorted(seen)


@pytest.mark.parametrize("step", [0, 1, 999, 5000, 10**6])
def test_no_step_has_a_rate_below_nothing(step):
    assert rate_factor(CosineSchedule(kind="cosine", warmup=1), step, Fraction(50), 100) >= 0


def test_norms_and_biases_may_be_spared_from_decay():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    spared = parameter_groups(model, 0.1, decay_norms=False)
    assert [[p.ndim for p in group["params"]] for group in spared] == [[4], [1, 1, 1]]
    assert [group["weight_decay"] for group in spared] == [0.1, 0.0]
    (all_of_them,) = parameter_groups(model, 0.1, decay_norms=True)
    assert len(all_of_them["params"]) == 4


def test_muon_turns_every_filter_but_those_of_the_first_layer():
    network = zoo.create("cifar_harm_vgg7_0.125", 3)
    plan = CosineSchedule(kind="cosine")
    section = TrainSection(epochs=2, rate=0.3, optimiser="muon", turn=0.07, weight_decay=0.1, schedule=plan)
    chosen = optimiser(section, turned_groups(network, section))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    others, turned = ({names[id(p)] for p in group["params"]} for group in chosen.param_groups)
    assert isinstance(chosen, Muon)
    assert turned == {f"blocks.{block}.conv{conv}.weight" for block in range(3) for conv in range(2)}
    assert turned | others == set(names.values()) and not turned & others
    assert [group["lr"] for group in chosen.param_groups] == [0.3, 0.07]
    schedule(section, chosen, 10)
    assert [group["turned"] for group in chosen.param_groups] == [False, True]


def test_a_running_mean_follows_weights_and_statistics():
    """At first quickly: the second update retains 2/11, the third 3/12, and never more than was asked for."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    mean = running_mean(model, 0.2)
    wanted = None
    for value, retained in ((1.0, 0.0), (2.0, 2 / 11), (-3.0, 0.2), (5.0, 0.2)):
        nn.init.constant_(model[0].weight, value)
        model[1].running_mean.fill_(10 * value)
        mean.update_parameters(model)
        wanted = value if wanted is None else retained * wanted + (1 - retained) * value
    assert mean.module[0].weight.tolist() == [[pytest.approx(wanted)] * 2] * 2
    assert mean.module[1].running_mean.tolist() == [pytest.approx(10 * wanted)] * 2
    assert not any(p.requires_grad for p in mean.parameters())


def test_a_long_memory_forgets_the_first_weights_within_a_short_run():
    """Without a warm-up, 0.9998 would keep 98 % of them over a hundred steps."""
    model = nn.Linear(1, 1, bias=False)
    mean = running_mean(model, 0.9998)
    for step in range(100):
        nn.init.constant_(model.weight, 0.0 if step == 0 else 1.0)
        mean.update_parameters(model)
    assert mean.module.weight.item() > 0.999
