"""A folded harmonic ResNet-50 beside torchvision's own, both by ONNX Runtime: the ratio of their speeds."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workloads import PHOTOGRAPH, ROOT
from export.runtime import ort

_BATCH = 4


def folded(rounds: int, seconds: float) -> dict[str, Any]:
    """Images a second of each, alternately."""
    plain = ROOT / "torchvision-resnet50.onnx"
    if not plain.exists():
        _emit(plain)
    sessions = {"harmonic": _session(PHOTOGRAPH.version / "model.onnx"), "torchvision": _session(plain)}
    size = PHOTOGRAPH.size
    images = np.random.default_rng(0).integers(0, 256, (_BATCH, size, size, 3), dtype=np.uint8)
    found: dict[str, list[float]] = {name: [] for name in sessions}
    for number in range(rounds + 1):
        for name, session in sessions.items():
            speed = _speed(session, images, seconds)
            if number:  # the first round warms up
                found[name].append(speed)
    ratios = [ours / theirs for ours, theirs in zip(*found.values(), strict=True)]
    return {"batch": _BATCH, "images_per_second": found, "ratios": ratios}


def _speed(session: Any, images: np.ndarray, seconds: float) -> float:
    began, calls = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        session.run(None, {"images": images})
        calls += 1
    return calls * len(images) / took


def _session(path: Path) -> Any:
    return ort.InferenceSession(path, ort.SessionOptions(), providers=["CPUExecutionProvider"])


def _emit(path: Path) -> None:
    """The same way to ONNX: bytes in, normalisation inside."""
    from torchvision.models import resnet50

    from export.emit import emit
    from harmonic.pixels import PixelSpec

    path.parent.mkdir(parents=True, exist_ok=True)
    emit(resnet50(num_classes=10).eval(), PixelSpec(height=PHOTOGRAPH.size, width=PHOTOGRAPH.size), path)
