"""Requests of the Open Inference Protocol for the colour model."""

from typing import Any

import httpx
import numpy as np

from export.manifest import Manifest, ParityReport, Variant
from harmonic.pixels import PixelSpec
from tests.support.colours import CLASSES

SIDE = 4
MANIFEST = Manifest(
    name="colours",
    architecture="colours",
    parameters=9,
    classes=CLASSES,
    pixels=PixelSpec(height=SIDE, width=SIDE),
    opset=18,
    variants=(Variant(),),
    parity=ParityReport(batches=(1,), max_error=0, mean_error=0, top1_agreement=1, largest_logit=8),
    created="2026-01-01T00:00:00Z",
    files={"model.onnx": "0" * 64, "golden.npz": "0" * 64},
)
IMAGE = np.arange(SIDE * SIDE * 3, dtype=np.uint8).reshape(1, SIDE, SIDE, 3)


def tensor(**fields: Any) -> dict[str, Any]:
    return {"name": "images", "datatype": "UINT8", "shape": list(IMAGE.shape)} | fields


def binary(size: int = IMAGE.size, **fields: Any) -> dict[str, Any]:
    return tensor(parameters={"binary_data_size": size}, **fields)


BYTES = {"name": "image_bytes", "datatype": "BYTES"}


def refused(response: httpx.Response, status: int) -> str:
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    return str(response.json()["error"])
