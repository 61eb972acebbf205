"""The exported graph against PyTorch: the same images through both, at several batch sizes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Num
from numpy import ndarray
from torch import nn

from export.emit import INPUT, OUTPUT
from export.errors import ParityError
from export.manifest import FEATURES, ParityReport
from export.runtime import ort
from harmonic.bundles import Classifier
from harmonic.pixels import PixelSpec

Run = Callable[[Num[ndarray, "n h w c"]], Float[ndarray, "n classes"]]

_PRECISION = 1e-4  # float32 keeps 7 digits; a deep network's sums lose some. Relative to the largest logit.


def synthetic_images(count: int, spec: PixelSpec, seed: int = 0) -> Num[ndarray, "count h w c"]:
    """Seeded images with structure at every scale: blocks of colour, a gradient, grain. Not photographs, but not
    noise alone."""
    rng = np.random.default_rng(seed)
    height, width, channels = spec.shape
    images = np.zeros((count, height, width, channels))
    for cells in (2, 5, 13):
        rows, columns = np.arange(height) * cells // height, np.arange(width) * cells // width
        images += rng.normal(scale=40, size=(count, cells, cells, channels))[:, rows][:, :, columns]
    images += 128 + rng.normal(scale=12, size=images.shape)
    return np.clip(images, 0, 255).astype(spec.dtype)


def reference_logits(
    network: nn.Module, spec: PixelSpec, images: Num[ndarray, "n h w c"]
) -> Float[ndarray, "n classes"]:
    """PyTorch's float32 answers, the unfolded network's, eight images at a time."""
    classifier = Classifier(network, spec).eval()
    with torch.inference_mode():
        parts = [classifier(torch.from_numpy(images[i : i + 8])).numpy() for i in range(0, len(images), 8)]
    return np.concatenate(parts)


def verify(network: nn.Module, spec: PixelSpec, path: Path, batches: Sequence[int]) -> ParityReport:
    """Compare ONNX Runtime's answers with the unfolded network's, and raise ParityError where they differ beyond
    rounding."""
    return within_tolerance(measure(network, spec, whole_net(path), batches))


def within_tolerance(report: ParityReport) -> ParityReport:
    """The report itself; ParityError where the answers differ beyond rounding."""
    allowed = tolerance(report.largest_logit)
    if not report.max_error <= allowed:  # also when it is NaN
        raise ParityError(f"the exported graph's logits differ by {report.max_error:.2e}; {allowed:.2e} is allowed.")
    return report


def measure(network: nn.Module, spec: PixelSpec, run: Run, batches: Sequence[int]) -> ParityReport:
    """How far a way of running the network is from the unfolded network in PyTorch, at several batch sizes."""
    images = synthetic_images(max(batches), spec, seed=1)
    expected = reference_logits(network, spec, images)
    found = [run(images[:batch]) for batch in batches]
    with np.errstate(invalid="ignore"):  # inf - inf; the NaN is refused by `within_tolerance`
        errors = [np.abs(answer - expected[: len(answer)]) for answer in found]
    agreed = [answer.argmax(1) == expected[: len(answer)].argmax(1) for answer in found]
    return ParityReport(
        batches=tuple(batches),
        max_error=max(float(error.max()) for error in errors),
        mean_error=float(np.concatenate([error.ravel() for error in errors]).mean()),
        top1_agreement=float(np.concatenate(agreed).mean()),
        largest_logit=float(np.abs(expected).max()),
    )


def whole_net(path: Path) -> Run:
    """A graph that takes images, on ONNX Runtime's CPU provider."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run([OUTPUT], {INPUT: images})[0])


def stem_and_body(stem: nn.Module, spec: PixelSpec, body: Path) -> Run:
    """The stem in PyTorch, then the body's graph on ONNX Runtime's CPU provider."""
    session, first = ort.InferenceSession(body, providers=["CPUExecutionProvider"]), Classifier(stem, spec).eval()

    def run(images: Num[ndarray, "n h w c"]) -> Float[ndarray, "n classes"]:
        with torch.inference_mode():
            features = first(torch.from_numpy(images)).contiguous().numpy()
        return np.asarray(session.run([OUTPUT], {FEATURES: features})[0])

    return run


def tolerance(largest_logit: float) -> float:
    """The largest absolute difference of a float32 logit that is still the same answer."""
    return _PRECISION * max(1.0, largest_logit)
