"""Further training of the whole network: foretold, judged on images held out, and kept only where it is better."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import nn

from harmonic.training import brief, read_recipe, temperature
from harmonic.training.recipe import Recipe
from harmonic.transfer.example import answers_of, judgement_by, parts, with_head_of
from harmonic.transfer.findings import finetuning_words
from harmonic.transfer.outcome import Finetuned, HeldOut, Transferred, judged, weights
from harmonic.transfer.paired import Paired, paired

Tell = Callable[[str], None]
RECIPE = "photographs-finetune"
_SHARE = 0.85  # of the seconds that are left; the rest is for answers, and for what a busy machine takes
_EPOCHS = 40  # at most; more of the same few images teach nothing


@dataclass(frozen=True, slots=True)
class Plan:
    """steps: of each training. judged: trainings without a part of the images, besides the last one on all."""

    steps: int
    judged: int

    def seconds(self, each: float) -> float:
        """Of all trainings. each: of a step."""
        return each * self.steps * (self.judged + 1)


# Wide rungs: how long a step takes differs from time to time; what is trained then seldom does.
LADDER = (Plan(100, 1), Plan(200, 1), Plan(200, 2), Plan(400, 2), Plan(400, 4), Plan(1200, 2), Plan(2400, 2))
ALWAYS = Plan(200, 2)


def longest_plan(each: float, left: float, most: float) -> Plan | None:
    """The longest training that is foretold to end in time; None where none is. most: steps that make sense."""
    sensible = [one for one in LADDER if one.steps <= most] or [LADDER[0]]
    return next((one for one in reversed(sensible) if one.seconds(each) <= _SHARE * left), None)


def finetuned(
    fitted: Transferred, *, left: float, seed: int, balanced: bool, always: bool = False, tell: Tell = lambda _: None
) -> Transferred:
    """The classifier, further trained where that pays, and what was found of it. `tell` hears of every step.

    It is trained where that is foretold to end in `left` seconds, and kept where it is better by more than the noise.
    always: for a fixed number of steps, however long they take, and kept whatever it brings. Everything that the result
    says of itself is from images that the trainings which answered them did not learn.
    """
    own = _recipe(fitted.bundle.model, seed, balanced)
    chosen = ALWAYS if always else _foretold(fitted, own, left, tell)
    if chosen is None:
        return fitted
    own = own.model_copy(update={"train": own.train.model_copy(update={"steps": chosen.steps})})
    trial = _tried(fitted, own, chosen, seed, balanced, stop_early=not always)
    compared = _compared(fitted, trial, balanced)
    done = Finetuned(chosen.steps, compared, always or compared.better)
    result = _kept(fitted, own, trial, done, seed) if done.kept else replace(fitted, finetuned=done)
    tell(finetuning_words(done))
    return result


def _recipe(network: nn.Module, seed: int, balanced: bool) -> Recipe:
    """The shipped recipe for a head that is fitted already."""
    # Depthwise convolutions are slower in bfloat16 on CPUs; of the others most of the time is saved.
    grouped = any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in network.modules())
    changes = [
        "finetune.head=keep",
        "finetune.head_epochs=0",
        f"data.balance={'loss' if balanced else 'none'}",
        f"train.precision={'fp32' if grouped else 'auto'}",
        f"train.seed={seed}",
    ]
    return read_recipe(RECIPE, changes)


def _foretold(fitted: Transferred, own: Recipe, left: float, tell: Tell) -> Plan | None:
    """What there is time for, which is said."""
    images = fitted.survey.images
    each = brief.seconds_a_step(own, fitted.bundle, images)
    chosen = longest_plan(each, left, _EPOCHS * brief.steps_an_epoch(own, len(images)))
    if chosen is None:
        short = LADDER[0]
        tell(
            f"Fine-tuning is left out: {short.judged + 1} times {short.steps} steps would take "
            f"{short.seconds(each):.0f} s, and {max(left, 0.0):.0f} s are left (--minutes)."
        )
        return None
    minutes = chosen.seconds(each) / 60
    tell(
        f"Fine-tuning {chosen.steps} steps, {chosen.judged} times without a part of the images and then on all: about "
        f"{minutes:.1f} minutes"
    )
    return chosen


@dataclass(frozen=True, slots=True)
class _Trial:
    """Answers to images held out, by places: of the classifier on features, and of the trained ones, cooled by one
    temperature. example: the first of these. trainings: how many there are."""

    example: HeldOut
    places: Int64[ndarray, " m"]
    before: Float[ndarray, "m classes"]
    after: Float[ndarray, "m classes"]
    temperature: float
    trainings: int


def _tried(fitted: Transferred, own: Recipe, chosen: Plan, seed: int, balanced: bool, *, stop_early: bool) -> _Trial:
    """Train without a part of the images, as often as planned. stop_early: where the first gains nothing at all."""
    images, trial = fitted.survey.images, None
    for number, (learned, others) in enumerate(parts(fitted, seed)[: chosen.judged], start=1):
        start, first = with_head_of(fitted, learned, others, seed, balanced)
        made = brief.briefly(own, start.bundle, images.subset(learned), f"Fine-tuning, part {number}")
        second = answers_of(fitted, made, others)
        trial = _joined(fitted, trial, replace(start, bundle=made), first, second, balanced)
        if stop_early and _compared(fitted, trial, balanced).gain <= 0:
            break
    if trial is None:
        raise ValueError("a plan trains once at least without a part of the images")
    return trial


def _joined(
    fitted: Transferred,
    trial: _Trial | None,
    made: HeldOut,
    first: Float[ndarray, "v classes"],
    second: Float[ndarray, "v classes"],
    balanced: bool,
) -> _Trial:
    """The trial with one training more."""
    places, plain = made.others, second
    if trial:
        places, first = np.concatenate([trial.places, places]), np.concatenate([trial.before, first])
        plain = np.concatenate([temperature.cooled(trial.after, 1 / trial.temperature), second])
    labels = fitted.survey.images.labels[places]
    heat = temperature.best_temperature(
        torch.from_numpy(temperature.log_probabilities(plain)),
        torch.from_numpy(labels),
        torch.from_numpy(weights(labels, balanced)),
    )
    example, number = (trial.example, trial.trainings + 1) if trial else (made, 1)
    return _Trial(example, places, first, temperature.cooled(plain, heat), heat, number)


def _compared(fitted: Transferred, trial: _Trial, balanced: bool) -> Paired:
    images = fitted.survey.images
    labels, groups = images.labels[trial.places], images.own_groups()[trial.places]
    return paired(trial.before, trial.after, labels, groups, weights(labels, balanced))


def _kept(fitted: Transferred, own: Recipe, trial: _Trial, done: Finetuned, seed: int) -> Transferred:
    """The network trained on all images as it was without parts of them, with the judgement of those trainings."""
    images = fitted.survey.images
    made = brief.briefly(own, fitted.bundle, images, "Fine-tuning on all images")
    cooled = [made, copy.deepcopy(trial.example.bundle)]
    for one in cooled:
        temperature.divide_logits(one.model, one.card.pixels, trial.temperature)
    example = replace(trial.example, bundle=cooled[1])
    way = f"{len(trial.places)} images held out of {trial.trainings} trainings"
    judgement = judgement_by(fitted, trial.after, trial.places, seed, way)
    note = {"steps": done.steps, "temperature": round(trial.temperature, 4), "gain": round(done.paired.gain, 4)}
    return judged(replace(fitted, finetuned=done, example=example), made, judgement, finetuned=note)
