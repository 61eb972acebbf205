"""The exported graph against PyTorch: the same images through both, at several batch sizes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import nn

from export.emit import INPUT, OUTPUT
from export.errors import ParityError
from export.manifest import ParityReport
from harmonic.classifier import Classifier
from harmonic.pixels import PixelSpec

_PRECISION = 1e-4  # float32 keeps 7 digits; a deep network's sums lose some. Relative to the largest logit.


def synthetic_images(count: int, spec: PixelSpec, seed: int = 0) -> UInt8[ndarray, "count h w c"]:
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
    network: nn.Module, spec: PixelSpec, images: UInt8[ndarray, "n h w c"]
) -> Float[ndarray, "n classes"]:
    """PyTorch's float32 answers, the unfolded network's, eight images at a time."""
    classifier = Classifier(network, spec).eval()
    with torch.inference_mode():
        parts = [classifier(torch.from_numpy(images[i : i + 8])).numpy() for i in range(0, len(images), 8)]
    return np.concatenate(parts)


def verify(network: nn.Module, spec: PixelSpec, path: Path, batches: Sequence[int]) -> ParityReport:
    """Compare ONNX Runtime's answers with the unfolded network's, and raise ParityError where they differ beyond
    rounding."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = synthetic_images(max(batches), spec, seed=1)
    expected = reference_logits(network, spec, images)
    found = [np.asarray(session.run([OUTPUT], {INPUT: images[:batch]})[0]) for batch in batches]
    with np.errstate(invalid="ignore"):  # inf - inf; the NaN is refused below
        errors = [np.abs(answer - expected[: len(answer)]) for answer in found]
    agreed = [answer.argmax(1) == expected[: len(answer)].argmax(1) for answer in found]
    report = ParityReport(
        batches=tuple(batches),
        max_error=max(float(error.max()) for error in errors),
        mean_error=float(np.concatenate([error.ravel() for error in errors]).mean()),
        top1_agreement=float(np.concatenate(agreed).mean()),
        largest_logit=float(np.abs(expected).max()),
    )
    allowed = tolerance(report.largest_logit)
    if not report.max_error <= allowed:  # also when it is NaN
        raise ParityError(f"the exported graph's logits differ by {report.max_error:.2e}; {allowed:.2e} is allowed.")
    return report


def tolerance(largest_logit: float) -> float:
    """The largest absolute difference of a float32 logit that is still the same answer."""
    return _PRECISION * max(1.0, largest_logit)
