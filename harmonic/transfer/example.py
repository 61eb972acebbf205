"""The classifier as it would be had it learned only a part of the images: what the others show of it is honest."""

import copy

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray

from harmonic.bundles import Bundle, Headed, probabilities
from harmonic.data import prepare_all
from harmonic.evaluation.folds import folds
from harmonic.transfer.head import set_head
from harmonic.transfer.judgement import Judgement, judgement_of
from harmonic.transfer.outcome import HeldOut, Transferred
from harmonic.transfer.probe import fit_probe, select

_TRIED = 8  # images on which a head is tried
PARTS = 4  # of the images, one of which is held out at a time

Parts = list[tuple[Int64[ndarray, " t"], Int64[ndarray, " v"]]]


def parts(fitted: Transferred, seed: int) -> Parts:
    """(learned, held out) for each part in turn; no group is on both sides."""
    images = fitted.survey.images
    return list(folds(images.labels, images.own_groups(), PARTS, seed))


def with_head_of(
    fitted: Transferred, learned: Int64[ndarray, " t"], others: Int64[ndarray, " v"], seed: int, balanced: bool
) -> tuple[HeldOut, Float[ndarray, "v classes"]]:
    """The network with a head that was fitted on the learned images alone, its strength too, and its answers to the
    others."""
    images, own = fitted.survey.images, fitted.own
    labels, groups, classes = images.labels, images.own_groups(), len(images.classes)
    rows, given = own.rows[learned], labels[learned]
    choice, _ = select([own.only(learned)], given, groups[learned], classes, seed, balanced)
    probe = fit_probe(rows, given, classes, choice.strength, balanced)
    card = fitted.bundle.card
    headed = Headed(Bundle(card, copy.deepcopy(fitted.bundle.model)), fitted.layer)
    few = prepare_all(images.subset(others[:_TRIED]), card.pixels, title="Trying the classifier")
    weight, bias = own.unscaled(probe.weight, probe.bias)
    set_head(headed, weight, bias, torch.from_numpy(few))
    return HeldOut(headed.bundle, learned, others), np.asarray(probe.probabilities(own.rows[others]))


def answers_of(fitted: Transferred, made: Bundle, places: Int64[ndarray, " v"]) -> Float[ndarray, "v classes"]:
    """What a classifier says of images held out, by their places, in probabilities."""
    spec = made.card.pixels
    pixels = prepare_all(fitted.survey.images.subset(places), spec, title="Reading images held out")
    return np.asarray(probabilities(made.model, spec, pixels).astype(np.float64))


def judgement_by(
    fitted: Transferred, answers: Float[ndarray, "v classes"], places: Int64[ndarray, " v"], seed: int, way: str
) -> Judgement:
    """The figures of those answers; how the head was chosen, and what it learned by number of images, stay."""
    images, before = fitted.survey.images, fitted.judgement
    labels, groups = images.labels[places], images.own_groups()[places]
    return judgement_of(answers[None], places, labels, groups, seed, way, before.curve, before.chosen)
