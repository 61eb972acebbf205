"""What a fit found, for people: lines and tables on a terminal."""

from collections.abc import Sequence

import numpy as np
from rich.table import Table

from harmonic.data import counted, some
from harmonic.evaluation import confusions, mistakes_table
from harmonic.transfer.procedure import Transferred
from harmonic.transfer.survey import FEW, Survey


def survey_lines(found: Survey) -> list[str]:
    """What there is, and what should be looked at."""
    images, counts = found.images, found.counts
    low, high = found.sizes.min(0), found.sizes.max(0)
    span = f"{low[0]} x {low[1]}" if (low == high).all() else f"{low[0]} x {low[1]} to {high[0]} x {high[1]} pixels"
    lines = [f"{images.source}: {len(images):,} images of {len(images.classes)} classes, {span}"]
    if images.left_out:
        lines.append(f"Left out: {counted(images.left_out)}")
    if found.unreadable:
        lines.append(f"{len(found.unreadable)} cannot be read and are left out: {some(found.unreadable)}")
    scarce = [f"{name} ({count})" for name, count in zip(images.classes, counts, strict=True) if count < FEW]
    if scarce:
        lines.append(f"Very few images, so their figures say little: {some(scarce)}")
    if found.copies:
        example = " = ".join(found.names(found.copies[0])[:3])
        lines.append(f"{len(found.copies)} pictures are there more than once ({example}); copies are judged together")
    if found.contradictory:
        shown = [" = ".join(found.names(group)) for group in found.contradictory]
        lines.append(f"{len(shown)} pictures are there with different classes, one of which is wrong: {some(shown)}")
    return lines


def class_table(fitted: Transferred) -> Table:
    """Each class: its images, how many of them were answered right when held out, and what it is taken for."""
    return mistakes_table("Held-out answers", fitted.bundle.card.classes, fitted.judgement.confusion)


def tried_lines(fitted: Transferred) -> list[str]:
    """Every candidate with its loss, and how often the judged procedure chose it."""
    chosen, folds = fitted.judgement.chosen, sum(fitted.judgement.chosen.values())
    return [
        f"{one.candidate}: log loss {one.loss:.3f}"
        + (f", chosen in {chosen[str(one.candidate)]} of {folds} folds" if str(one.candidate) in chosen else "")
        for one in fitted.tried
    ]


def worst_confusions(fitted: Transferred) -> list[tuple[str, str, float]]:
    """(true class, answer, share of the class's images), the worst first."""
    return confusions(fitted.bundle.card.classes, fitted.judgement.confusion)


def advice(fitted: Transferred) -> str:
    """What more images would do, where the learning curve says it."""
    (few, low), (many, high) = fitted.judgement.curve[-3], fitted.judgement.curve[-1]
    gain = high - low
    width = (fitted.judgement.accuracy.high - fitted.judgement.accuracy.low) / 2
    if gain < max(0.01, width / 2):
        return (
            f"From {few} to {many} images accuracy went from {low:.1%} to {high:.1%}: "
            "more of the same would help little."
        )
    scarce = _weakest(fitted)[:3]
    return (
        f"From {few} to {many} images accuracy went from {low:.1%} to {high:.1%} and still rises: more images help, "
        f"of {', '.join(scarce)} above all."
    )


def _weakest(fitted: Transferred) -> Sequence[str]:
    """Classes by recall, the lowest first."""
    confusion = fitted.judgement.confusion
    order = np.argsort(np.diag(confusion) / confusion.sum(1), kind="stable")
    return [fitted.bundle.card.classes[place] for place in order]
