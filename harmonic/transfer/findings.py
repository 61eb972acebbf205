"""What a fit found, for people: lines and tables on a terminal."""

import math
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from harmonic.data import counted, some
from harmonic.evaluation import confusions, mistakes_table
from harmonic.transfer.outcome import Compressed, Finetuned, Transferred
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


def finetuning_words(done: Finetuned) -> str:
    """What further training of the whole network brought."""
    (first, second), (before, after) = done.paired.accuracy, done.paired.loss
    figures = (
        f"accuracy {first:.1%} to {second:.1%}, log loss {before:.3f} to {after:.3f} (± {done.paired.error:.3f}), on "
        f"{done.paired.images} images held out"
    )
    if done.paired.better:
        gained = f"gained {100 * (second - first):.1f} points and was kept"
    elif done.kept:
        gained = "was kept, as you asked, though it is not better by more than the noise"
    else:
        gained = "was not kept, since it is not better by more than the noise"
    return f"Fine-tuning ({done.steps} steps) {gained}: {figures}."


def compression_words(done: Compressed) -> str:
    """What fewer frequencies cost."""
    (whole, small), (before, after) = done.parameters, done.accuracy
    kept = "was kept" if done.kept else f"was not kept, since it loses more than {done.most_drop:g} points (--max-drop)"
    return (
        f"Compression to {done.budget} ({whole:,} to {small:,} parameters) {kept}: accuracy {before:.1%} to "
        f"{after:.1%}, {done.agreement:.1%} of the answers as before, on {done.images} images held out."
    )


def further_lines(fitted: Transferred) -> list[str]:
    """What was done with the network after its head was fitted."""
    lines = [finetuning_words(fitted.finetuned)] if fitted.finetuned else []
    return lines + ([compression_words(fitted.compressed)] if fitted.compressed else [])


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
    # Of an accuracy on all images, as the curve has it; what was trained further is judged by fewer.
    width = 1.96 * math.sqrt(high * (1 - high) / len(fitted.survey.images))
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
