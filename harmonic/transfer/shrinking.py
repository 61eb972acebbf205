"""Compression of a fitted classifier, judged on images that it did not learn, and kept only where it costs little."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from harmonic.bundles import Bundle
from harmonic.compression import Bench, Budget, compress_bundle, parse_budget
from harmonic.data import prepare_all, stratified_split, tracked
from harmonic.errors import CompressionError
from harmonic.transfer.example import answers_of, judgement_by, parts, with_head_of
from harmonic.transfer.findings import compression_words
from harmonic.transfer.outcome import Compressed, HeldOut, Transferred, judged, weights
from harmonic.transfer.paired import paired

Tell = Callable[[str], None]
_CALIBRATION = 1000  # images at most


def budget(text: str) -> Budget:
    """A share of the parameters, or what `harmonic compress --budget` takes of params, macs and bytes."""
    found = parse_budget(text if "=" in text else f"params={text}")
    if found.kind in ("latency", "accuracy"):
        raise CompressionError(
            f"a budget in {found.kind} is for `harmonic compress`; while a classifier is fitted, give a share of the "
            "parameters (0.5), macs=SHARE or bytes=SIZE."
        )
    return found


def smaller(
    fitted: Transferred, *, wanted: Budget, most_drop: float, seed: int, balanced: bool, tell: Tell = lambda _: None
) -> Transferred:
    """The classifier with fewer frequencies, where that costs at most so many points of accuracy. `tell` hears it.

    Tried on a classifier that learned all but a part of the images, and measured on that part; what is kept is then
    done once more with the classifier of all images. It stays as it was where no cuts meet the budget.
    """
    images = fitted.survey.images
    example = fitted.example or with_head_of(fitted, *parts(fitted, seed)[0], seed, balanced)[0]
    bench = _bench(fitted, example.learned)
    try:
        small, outcome = compress_bundle(example.bundle, bench, wanted, _watched, sets="channel")
    except CompressionError as error:
        tell(f"Not compressed: {error}")
        return fitted
    before, after = (answers_of(fitted, one, example.others) for one in (example.bundle, small))
    labels, groups = images.labels[example.others], images.own_groups()[example.others]
    right = paired(before, after, labels, groups, weights(labels, balanced)).accuracy
    agreement = float((before.argmax(1) == after.argmax(1)).mean())
    kept = 100 * (right[0] - right[1]) <= most_drop + 1e-9
    done = Compressed(str(wanted), len(labels), agreement, right, outcome.parameters, most_drop, kept)
    result = replace(fitted, compressed=done)
    if kept:
        result = _kept(fitted, wanted, done, replace(example, bundle=small), after, seed)
    tell(compression_words(result.compressed or done))
    return result


def _kept(
    fitted: Transferred, wanted: Budget, done: Compressed, example: HeldOut, answers: ndarray, seed: int
) -> Transferred:
    """The classifier of all images in the same budget, with the judgement of the one that did not learn them all."""
    every = np.arange(len(fitted.survey.images))
    small, outcome = compress_bundle(fitted.bundle, _bench(fitted, every), wanted, _watched, sets="channel")
    way = f"{len(example.others)} images held out of one training, compressed"
    judgement = judgement_by(fitted, answers, example.others, seed, way)
    notes = fitted.bundle.card.metrics["fit"]
    own = {"finetuned": notes["finetuned"]} if "finetuned" in notes else {}
    found = judged(replace(fitted, example=example), small, judgement, **own)
    metrics = {**found.bundle.card.metrics, "compression": {**outcome.summary(), **done.summary()}}
    card = found.bundle.card.model_copy(update={"metrics": metrics})
    made = replace(done, parameters=outcome.parameters)
    return replace(found, bundle=Bundle(card, found.bundle.model), compressed=made)


def _bench(fitted: Transferred, places: Int64[ndarray, " m"]) -> Bench:
    """Some of these images, evenly from the classes."""
    images, spec = fitted.survey.images, fitted.bundle.card.pixels
    if len(places) > _CALIBRATION:
        places = places[stratified_split(images.labels[places], _CALIBRATION / len(places), seed=1)[1]]
    some = images.subset(places)
    return Bench(prepare_all(some, spec, title="Reading images"), spec, some.labels)


def _watched(steps: Sequence[Any], title: str) -> Iterable[Any]:
    return tracked(steps, title, len(steps))
