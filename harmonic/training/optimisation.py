"""What a recipe says of optimisation, in PyTorch's terms: optimiser, rate by step, running mean of the weights."""

import math
from fractions import Fraction
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from harmonic.training.muon import Muon
from harmonic.training.recipe import CosineSchedule, OneCycleSchedule, StepSchedule, TrainSection


def parameter_groups(model: nn.Module, decay: float, decay_norms: bool) -> list[dict[str, Any]]:
    """Parameters by weight decay; without `decay_norms` only those of more than one dimension decay."""
    parameters = list(model.parameters())
    decaying = [p for p in parameters if p.ndim > 1 or decay_norms]
    others = [p for p in parameters if not (p.ndim > 1 or decay_norms)]
    return [{"params": decaying, "weight_decay": decay}] + ([{"params": others, "weight_decay": 0.0}] if others else [])


def turned_groups(model: nn.Module, section: TrainSection) -> list[dict[str, Any]]:
    """Parameters for Muon: the filters of every convolution but the first are turned, the others as they are for
    SGD."""
    filters = [parameter for parameter in model.parameters() if parameter.ndim > 2][1:]
    turned = set(map(id, filters))
    groups = parameter_groups(model, section.weight_decay, section.decay_norms)
    for group in groups:
        group["params"] = [parameter for parameter in group["params"] if id(parameter) not in turned]
    return [*groups, {"params": filters, "lr": section.turn, "turned": True}]


def optimiser(section: TrainSection, groups: list[dict[str, Any]]) -> Optimizer:
    """The recipe's optimiser."""
    if section.optimiser == "adamw":
        return AdamW(groups, lr=section.rate)
    if section.optimiser == "muon":
        return Muon(groups, lr=section.rate, momentum=section.momentum)
    return SGD(groups, lr=section.rate, momentum=section.momentum, nesterov=section.nesterov)


def schedule(section: TrainSection, chosen: Optimizer, steps: int) -> LRScheduler:
    """The recipe's learning rate, for a run of `steps` optimiser steps; it moves at every step."""
    plan = section.schedule
    if not isinstance(plan, OneCycleSchedule):
        return LambdaLR(chosen, lambda step: rate_factor(plan, step, Fraction(steps, section.epochs), section.epochs))
    # Both parts of the cycle need a step of their own, and there is one more than the trainer takes.
    steps = max(steps, 3)
    return OneCycleLR(
        chosen,
        [group["lr"] for group in chosen.param_groups],
        total_steps=steps,
        pct_start=max(plan.warmup, 2 / steps),
        cycle_momentum=plan.cycle_momentum,
    )


def rate_factor(plan: StepSchedule | CosineSchedule, step: int, steps_an_epoch: Fraction, epochs: int) -> float:
    """What the rate is multiplied by in a step, counted from 0. Fractions, so that no rounding moves a milestone."""
    epoch = step / steps_an_epoch
    if epoch < plan.warmup:
        return float((step + 1) / (steps_an_epoch * plan.warmup))
    if isinstance(plan, StepSchedule):
        return plan.factor ** sum(epoch >= milestone for milestone in plan.milestones)
    done = min(float((epoch - plan.warmup) / max(epochs - plan.warmup, 1)), 1.0)
    return plan.final + (1 - plan.final) * (1 + math.cos(math.pi * done)) / 2


def running_mean(model: nn.Module, retained: float) -> AveragedModel:
    """An exponential mean of a model's weights and norm statistics, of which every update retains a share.

    The first updates retain less, (1 + n) / (10 + n) of what n updates left: a run shorter than the mean's memory would
    otherwise keep mostly its first weights. The n is in the mean's state, and with it in a checkpoint.
    """

    def update(kept: Any, current: Any, updates: Any) -> None:
        before = float(updates)
        share = min(retained, (1 + before) / (10 + before))
        get_ema_multi_avg_fn(share)(kept, current, updates)  # type: ignore[no-untyped-call]

    mean = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    return mean.requires_grad_(False)
