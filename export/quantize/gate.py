"""A variant in another precision against the float32 graph it was made of: what it loses, and whether it is faster.

Both are measured, on images and on this machine. Who fails is not published.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.manifest import DeviceKind
from export.runtime import ort, session_options

Run = Callable[[NDArray[Any]], NDArray[np.float32]]

LEAST_AGREEMENT = 0.99  # of the likeliest classes, where there are no labels
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_BATCH = 32  # images of one call, where answers are compared
_PAIRS, _LEAST_PAIRS, _SECONDS = 60, 7, 8.0
_MOST_LOST = 0.25  # share of the pairs in which a faster variant may be the slower one


@dataclass(frozen=True)
class Judges:
    """Images that a variant is judged on, as the graph takes them, and the float32 graph's logits for them.

    labels: the right classes; None where nobody said them: then agreement with float32 counts.
    """

    images: NDArray[Any]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class Loss:
    """What a variant loses. agreement: share of images whose likeliest class is float32's. top1, reference: shares of
    right answers, the variant's and float32's; None without labels."""

    images: int
    agreement: float
    top1: float | None = None
    reference: float | None = None

    @property
    def drop(self) -> float | None:
        """Points of top-1 that are lost; None without labels."""
        return None if self.top1 is None or self.reference is None else 100 * (self.reference - self.top1)

    def refusal(self, most: float) -> str:
        """Why it loses too much; empty where it does not. most: points of top-1."""
        if self.drop is None:
            short = self.agreement < LEAST_AGREEMENT
            said = f"it agrees with fp32 on {self.agreement:.2%} of {self.images} unlabelled images"
            return f"{said}; {LEAST_AGREEMENT:.0%} are wanted" if short else ""
        # Shares are quotients: a loss of exactly what is allowed is allowed.
        lost = f"it loses {self.drop:.2f} points of top-1 on {self.images} labelled images"
        return f"{lost}; at most {most:g} are allowed" if self.drop > most + 1e-9 else ""


@dataclass(frozen=True, slots=True)
class Speed:
    """Paired calls, one thread on a CPU. gain: float32's time over the variant's, the median of all pairs; won: share
    of the pairs in which the variant was faster."""

    gain: float
    won: float
    batch: int

    def refusal(self) -> str:
        """Why it is not faster; empty where it is."""
        faster = self.gain > 1 and self.won >= 1 - _MOST_LOST
        return "" if faster else f"it runs at {self.gain:.2f} times the speed of fp32 here, and has to be faster"


def opened(path: Path, device: DeviceKind = "cpu", threads: int = 0, plain: bool = False) -> Run:
    """A graph as a function. threads: 0 for as many as ONNX Runtime wants. plain: run it node by node, as written.

    Raises ExportError where the device is not there.
    """
    options = session_options()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    wanted = _PROVIDERS[device]
    if wanted not in ort.get_available_providers():
        raise ExportError(f"ONNX Runtime has no {wanted} here")
    session = ort.InferenceSession(path, options, providers=[wanted])
    if session.get_providers()[0] != wanted:
        raise ExportError(f"{wanted} does not work here")
    name = session.get_inputs()[0].name
    return lambda images: np.asarray(session.run(None, {name: images})[0], dtype=np.float32)


def answers(run: Run, images: NDArray[Any]) -> NDArray[np.float32]:
    """Logits of any number of images."""
    return np.concatenate([run(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)])


def loss(run: Run, judges: Judges) -> Loss:
    """What a variant loses on images."""
    found, wanted = answers(run, judges.images).argmax(axis=1), judges.logits.argmax(axis=1)
    measured = partial(Loss, len(found), float((found == wanted).mean()))
    if judges.labels is None:
        return measured()
    return measured(float((found == judges.labels).mean()), float((wanted == judges.labels).mean()))


def speed(reference: Run, variant: Run, images: NDArray[Any], seconds: float = _SECONDS) -> Speed:
    """Time both on the same images in turns, after one call each, for so long or until the pairs are enough."""
    for run in (reference, variant):
        run(images)
    pairs: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while len(pairs) < _LEAST_PAIRS or (len(pairs) < _PAIRS and time.perf_counter() < end):
        pairs.append((_timed(reference, images), _timed(variant, images)))
    won = sum(ours < theirs for theirs, ours in pairs) / len(pairs)
    return Speed(median(theirs / ours for theirs, ours in pairs), won, len(images))


Race = Callable[[Run, Run, NDArray[Any]], Speed]  # float32, the variant, the images of a call


def _timed(run: Run, images: NDArray[Any]) -> float:
    started = time.perf_counter()
    run(images)
    return time.perf_counter() - started
