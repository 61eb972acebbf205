"""From labelled images to a classifier on a pretrained network: look, compute features, select, judge, fit."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray

from harmonic.bundles import Bundle, Headed, with_joined_stages, with_new_head
from harmonic.data import Images, digests, prepare_all, split_by_group, tracked
from harmonic.errors import FeatureError
from harmonic.pixels import JpegScale
from harmonic.transfer.backbones import networks_at_hand, open_backbone, sizes
from harmonic.transfer.features import Features, Kept, features
from harmonic.transfer.head import set_head
from harmonic.transfer.judgement import Judgement, judge
from harmonic.transfer.outcome import Transferred, Tried, judged
from harmonic.transfer.probe import Candidate, Choice, Scaled, fit_probe, scaled, select
from harmonic.transfer.survey import Survey

AUTO = "auto"
_CHOOSING = 1000  # images by which a network is chosen, where there are more
_TRIED = 16  # images by which the time of the others is foretold
_SHARE = 0.6  # of the minutes that features may take
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    backbone: "auto" or a name. weights: a file, in place of a hub's. sides: of the images; None tries several.
    jpeg_scale: how large JPEGs are decoded; None as the backbone says. minutes: how long features may be computed for.
    cache: a folder for features; None keeps nothing. balanced: every class weighs the same. seed: draws what is drawn.
    """

    backbone: str = AUTO
    weights: Path | None = None
    sides: tuple[int, ...] | None = None
    jpeg_scale: JpegScale | None = None
    minutes: float = 10.0
    cache: Path | None = None
    balanced: bool = False
    seed: int = 1


def fit(found: Survey, wanted: Wanted, tell: Tell = lambda _: None) -> Transferred:
    """A classifier of these images. `tell` hears of every step.

    Raises FeatureError where no pretrained network can be had, or none can be given another head.
    """
    started = time.monotonic()
    images = found.images
    labels, groups, classes = images.labels, images.own_groups(), len(images.classes)
    few = _few(labels, groups, wanted.seed)
    known = list(digests(images))
    budget = _Budget(wanted, tell, started)
    trials = _trials(images, known, few, budget)
    own = [scaled(candidate) for _, candidate in trials]
    choice, losses = select(own, labels[few], groups[few], classes, wanted.seed, wanted.balanced)
    if joined := _joined(*trials[choice.place], images.subset(few), [known[i] for i in few], budget):
        trials.append(joined)
        own.append(scaled(joined[1]))
        _, more = select(own[-1:], labels[few], groups[few], classes, wanted.seed, wanted.balanced)
        losses |= {replace(one, place=len(own) - 1): loss for one, loss in more.items()}
        choice = min(losses, key=lambda one: losses[one])
    headed, chosen = trials[choice.place]
    tell(f"Chosen: {chosen}")
    if len(few) < len(images):
        rows = features(headed, images, known, wanted.cache, f"Features of {chosen}")
        own = [scaled(replace(chosen, features=rows))]
        choice, _ = select(own, labels, groups, classes, wanted.seed, wanted.balanced)
    judgement = _judged(own, labels, groups, classes, wanted)
    tried = sorted(
        (
            Tried(candidate, min(loss for at, loss in losses.items() if at.place == place))
            for place, (_, candidate) in enumerate(trials)
        ),
        key=lambda one: one.loss,
    )
    _finish(headed, own[choice.place], choice, images, wanted.balanced)
    made = Transferred(headed.bundle, headed.layer, found, judgement, own[choice.place], tuple(tried))
    return judged(made, made.bundle, judgement)


def _few(labels: Int64[ndarray, " n"], groups: Int64[ndarray, " n"], seed: int) -> Int64[ndarray, " m"]:
    """All images, or as many of every class as choosing takes."""
    if len(labels) <= _CHOOSING:
        return np.arange(len(labels))
    few = split_by_group(labels, groups, _CHOOSING / len(labels), seed)[1]
    # A class of few images keeps two of them at least, or nothing could be held out.
    rare = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    return np.unique(np.concatenate([few, *(own[:20] for own in rare)]))


@dataclass(frozen=True, slots=True)
class _Budget:
    """Computes features while there is time. started: on the monotonic clock."""

    wanted: Wanted
    tell: Tell
    started: float

    def rows(self, headed: Headed, images: Images, known: list[bytes], title: str, must: bool) -> Features | None:
        """Of these images; None, which is said, where they would take too long. must: however long they take."""
        kept = Kept(headed, self.wanted.cache)
        left = _SHARE * 60 * self.wanted.minutes - (time.monotonic() - self.started)
        new = 0 if must else kept.unknown(known)
        if new and (foretold := new * _seconds_each(headed, images)) > left:
            self.tell(f"{title}: left out, its features would take {foretold:.0f} s (--minutes)")
            return None
        rows = kept.of(images, known, f"Features of {title}")
        self.tell(f"{title}: {rows.shape[1]} features of {len(rows)} images")
        return rows


def _trials(
    images: Images, known: Sequence[bytes], few: Int64[ndarray, " m"], budget: _Budget
) -> list[tuple[Headed, Candidate]]:
    """The features of every candidate that the time allows; of the first in any case."""
    wanted, some_images, digests_of = budget.wanted, images.subset(few), [known[i] for i in few]
    names = networks_at_hand() if wanted.backbone == AUTO else [wanted.backbone]
    trials: list[tuple[Headed, Candidate]] = []
    for name in names:
        own = with_new_head(open_backbone(name, wanted.weights, wanted.jpeg_scale), images.classes)
        for spec in sizes(own.bundle.card.pixels, wanted.sides):
            # One network for every size: only the one that is chosen gets its head set.
            card = own.bundle.card.model_copy(update={"pixels": spec})
            headed = replace(own, bundle=Bundle(card, own.bundle.model))
            title = f"{name} at {spec.height} px"
            rows = budget.rows(headed, some_images, digests_of, title, must=not trials)
            if rows is not None:
                trials.append((headed, Candidate(name, spec.height, rows)))
    return trials


def _joined(
    headed: Headed, chosen: Candidate, images: Images, known: list[bytes], budget: _Budget
) -> tuple[Headed, Candidate] | None:
    """The candidate with several of its stages joined; None where it has one only, or the time does not allow it."""
    try:
        more = with_joined_stages(headed.bundle)
    except FeatureError as error:
        budget.tell(f"{chosen}: stages are not joined, {error}")
        return None
    joined = replace(chosen, stages=len(more.bundle.card.arguments["joined"]))
    rows = budget.rows(more, images, known, str(joined), must=False)
    return None if rows is None else (more, replace(joined, features=rows))


def _seconds_each(headed: Headed, images: Images) -> float:
    """How long the features of one image take, by a few of them."""
    few = images.subset(np.arange(min(_TRIED, len(images))))
    began = time.monotonic()
    features(headed, few, list(digests(few)), None, "Trying")
    return (time.monotonic() - began) / len(few)


def _judged(
    own: Sequence[Scaled],
    labels: Int64[ndarray, " n"],
    groups: Int64[ndarray, " n"],
    classes: int,
    wanted: Wanted,
) -> Judgement:
    repeats = 3 if len(labels) <= 300 else 2 if len(labels) <= _CHOOSING else 1
    return judge(
        own,
        labels,
        groups,
        classes,
        seed=wanted.seed,
        repeats=repeats,
        balanced=wanted.balanced,
        watch=tracked,
    )


def _finish(headed: Headed, own: Scaled, choice: Choice, images: Images, balanced: bool) -> None:
    """Fit the head on every image, and set it."""
    probe = fit_probe(own.rows, images.labels, len(images.classes), choice.strength, balanced)
    weight, bias = own.unscaled(probe.weight, probe.bias)
    few = images.subset(np.arange(min(_TRIED, len(images))))
    rows = prepare_all(few, headed.bundle.card.pixels, title="Trying the classifier")
    set_head(headed, weight, bias, torch.from_numpy(rows))
