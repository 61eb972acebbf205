"""A compressed network learns from the whole one: what the whole one answers to images is all that it is taught.

No labels are needed. Norms keep their statistics, which refitting has set, and learn their scales alone: batches of
whatever images are at hand would spoil what all the training images taught them.
"""

import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.bfloat16 import has_units
from harmonic.bundles import Classifier
from harmonic.compression.bench import Bench, device_of, divergence
from harmonic.compression.pool import Pool
from harmonic.compression.watch import Watch, unwatched
from harmonic.data import Images, prepare_all

_BATCH = 128
_PIXELS = 1 << 20  # of the images of a batch: what a network keeps of them to learn from fits into memory
_TEMPERATURE = 4.0  # of both networks' answers: how the whole one ranks wrong classes counts, too
_RATE = 3e-3  # of Adam, at its highest
_RISE = 0.2  # of the steps: the rate rises that long, then falls to nothing
_JUDGED = 4  # times an epoch
_JUDGES, _MOST_JUDGES = 0.2, 400  # of the images, and at most so many


@dataclass(frozen=True)
class Tuning:
    """How long to learn, and from what. epochs: over all images. others: images to learn from besides those on which
    the network was compressed. seed: draws their order."""

    epochs: int
    others: Images | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Tuned:
    """What distillation did. steps: taken, of so many. divergence: from the whole network, before and after, on images
    that were not learned from. interrupted: by Ctrl-C; what was best until then is kept."""

    epochs: int
    images: int
    steps: tuple[int, int]
    divergence: tuple[float, float]
    interrupted: bool

    def summary(self) -> dict[str, Any]:
        """The figures for a card."""
        return {
            "finetuned_epochs": self.epochs,
            "finetuned_images": self.images,
            "finetuned_steps": list(self.steps),
        }


def distilled(small: nn.Module, whole: nn.Module, bench: Bench, tuning: Tuning, watch: Watch = unwatched) -> Tuned:
    """Teach a compressed network to answer as the whole one does, in place; both in evaluation mode, on one device.

    bench: the images on which it was compressed. Some images are not learned from: on those the network is compared
    four times an epoch. The last state is kept if it came closer at all, for by then the rate has fallen to
    nothing; else, and where learning ends early, the best one, that of the beginning included. Half of the images, by
    chance, are mirrored. It computes in bfloat16 where the device has units for it. Equal seeds give equal bits on a
    CPU. Ctrl-C ends it early.
    """
    pool, judge = _parted(bench, tuning)
    size = max(1, min(_BATCH, _PIXELS // (bench.spec.height * bench.spec.width), len(pool)))
    epochs, batches = tuning.epochs, list(_batches(len(pool), size, tuning.epochs, tuning.seed))
    best = _Best(small, judge, judge.answers(whole).log_probabilities)
    started, every = best.divergence, max(1, math.ceil(len(batches) / (epochs * _JUDGED)))
    interrupted, taken = False, 0
    try:
        for loss in _learning(small, whole, pool, watch(batches, "Learning from the whole network"), len(batches)):
            taken += 1
            if not math.isfinite(loss):
                break  # nothing better can come; the best state is kept
            if taken % every == 0 or taken == len(batches):
                best.judge(last=taken == len(batches))
    except KeyboardInterrupt:
        interrupted = True
    best.restore()
    return Tuned(epochs, len(pool), (taken, len(batches)), (started, best.divergence), interrupted)


def _parted(bench: Bench, tuning: Tuning) -> tuple[Pool, Bench]:
    """Images to learn from, and to judge on: some of the others, where there are enough of them.

    On the images on which its coefficients were solved for, a network does better than on any else, so these favour the
    state in which it began.
    """
    others = tuning.others
    if others is None or len(others) < len(bench.pixels):
        own, judge = bench.parted(_JUDGES)
        return Pool(own, others), judge
    order = np.random.default_rng(tuning.seed).permutation(len(others))
    count = min(_MOST_JUDGES, max(1, round(_JUDGES * len(others))))
    judges, rest = (others.subset(np.sort(part)) for part in (order[:count], order[count:]))
    return Pool(bench, rest), Bench(prepare_all(judges, bench.spec, title="Reading images to judge on"), bench.spec)


class _Best:
    """The state of a network in which it came closest to the reference on some images."""

    def __init__(self, network: nn.Module, judge: Bench, reference: Float[Tensor, "n classes"]) -> None:
        self._network, self._judge, self._reference = network, judge, reference
        self.divergence, self._state = self._measured(), copy.deepcopy(network.state_dict())
        self._started = self.divergence

    def judge(self, last: bool) -> None:
        """Keep the state as it is now, if it is better; the last one, if it is better than the first.

        The judges are few, and tell no states apart that are close to each other.
        """
        found = self._measured()
        if found < (self._started if last else self.divergence):
            self.divergence, self._state = found, copy.deepcopy(self._network.state_dict())

    def restore(self) -> None:
        self._network.load_state_dict(self._state)

    def _measured(self) -> float:
        return divergence(self._reference, self._judge.answers(self._network).log_probabilities)


def _learning(
    small: nn.Module, whole: nn.Module, pool: Pool, batches: "Iterable[_Batch]", steps: int
) -> Iterator[float]:
    """Take a step for every batch; the loss of each."""
    device, view = device_of(small), Classifier(nn.Identity(), pool.bench.spec)
    view = view.to(device)
    adam = torch.optim.Adam(small.parameters(), _RATE)
    rates = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: _rate(step, steps))
    quick = torch.autocast(device.type, torch.bfloat16, enabled=has_units(device))
    for numbers, mirrored in batches:
        with torch.no_grad(), quick:
            images = view.normalised(pool.taken(numbers).to(device))
            images = torch.where(torch.from_numpy(mirrored).to(device)[:, None, None, None], images.flip(3), images)
            wanted = whole(images)
        with quick:
            answers = small(images)
        loss = _divergence(wanted, answers)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        rates.step()
        yield loss.item()


_Batch = tuple[Int64[ndarray, " m"], Bool[ndarray, " m"]]


def _batches(images: int, size: int, epochs: int, seed: int) -> Iterator[_Batch]:
    """Images of every step, and which of them are mirrored; what does not fill a batch is left for the other epochs."""
    for epoch in range(epochs):
        rng = np.random.default_rng((seed, epoch))
        order, mirrored = rng.permutation(images), rng.random(images) < 0.5
        for start in range(0, images - size + 1, size):
            numbers = order[start : start + size]
            yield numbers, mirrored[numbers]


def _rate(step: int, steps: int) -> float:
    """The share of the highest rate: a straight rise, then half a cosine down to nothing."""
    rise = max(1.0, _RISE * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    return (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1))) / 2


def _divergence(wanted: Float[Tensor, "n classes"], given: Float[Tensor, "n classes"]) -> Tensor:
    """Of softened answers, times the temperature squared, so that gradients keep their size (Hinton 2015)."""
    target, answer = (F.log_softmax(logits.float() / _TEMPERATURE, dim=1) for logits in (wanted, given))
    return F.kl_div(answer, target, reduction="batchmean", log_target=True) * _TEMPERATURE**2
