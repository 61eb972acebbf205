"""A repository without torch: small ONNX graphs that know red, green and blue."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.manifest import (
    GOLDENS,
    MANIFEST,
    WHOLE_NET,
    Manifest,
    Measured,
    ParityReport,
    Variant,
    read_manifest,
    sha256,
)
from export.repository import publishing
from export.runtime import ort
from harmonic.pixels import PixelSpec

CLASSES = ("red", "green", "blue")


def colour_graph(height: int, width: int, sharpness: float = 8.0, weights: np.ndarray | None = None) -> onnx.ModelProto:
    """uint8 images -> the mean of each channel, times `sharpness`: the likeliest class is the strongest colour."""
    matrix = (sharpness / 255 * np.eye(3) if weights is None else weights).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "matrix"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", height, width, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(matrix, "matrix"), numpy_helper.from_array(np.array([1, 2]), "axes")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def publish_colours(
    root: Path,
    name: str = "colours",
    side: int = 8,
    golden_shift: float = 0.0,
    weights: np.ndarray | None = None,
    graph: onnx.ModelProto | None = None,
    **manifest: object,
) -> Path:
    """Publish a version of the colour model; golden_shift makes its golden answers wrong by that much."""
    images = np.random.default_rng(0).integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    with publishing(root, name) as (folder, version):
        onnx.save(graph or colour_graph(side, side, weights=weights), folder / WHOLE_NET)
        session = ort.InferenceSession(folder / WHOLE_NET, providers=["CPUExecutionProvider"])
        (logits,) = session.run(None, {"images": images})
        np.savez(folder / GOLDENS, images=images, logits=logits + np.float32(golden_shift))
        fields: dict[str, object] = {
            "name": name,
            "architecture": "colours",
            "parameters": 9,
            "classes": CLASSES,
            "pixels": PixelSpec(height=side, width=side),
            "opset": 18,
            "variants": (Variant(),),
            "parity": ParityReport(batches=(1, 2), max_error=0, mean_error=0, top1_agreement=1, largest_logit=8),
            "metrics": {"accuracy": 1.0, "data": "three colours"},
            "license": "Apache-2.0",
            "created": "2026-01-01T00:00:00Z",
            "files": {file: sha256(folder / file) for file in (WHOLE_NET, GOLDENS)},
        }
        (folder / MANIFEST).write_text(Manifest(**(fields | manifest)).model_dump_json())
    return root / name / str(version)


def publish_in_two_precisions(
    root: Path, name: str = "colours", golden_shift: float = 0.0, speedup: float = 2.0
) -> Path:
    """The colour model with a variant that is called int8 and is half as sure of its answers.

    golden_shift: makes the golden answers of that variant wrong by so much.
    """
    version = publish_colours(root, name)
    manifest = read_manifest(version)
    onnx.save(colour_graph(8, 8, sharpness=4.0), version / "int8.onnx")
    with np.load(version / GOLDENS) as goldens:
        images, logits = goldens["images"], goldens["logits"]
    np.savez(version / "golden-int8.npz", images=images, logits=logits / 2 + np.float32(golden_shift))
    figures = {"device": "cpu", "processor": "this one", "batch": 8, "images": 100, "agreement": 1.0}
    int8 = Variant(
        name="int8",
        file="int8.onnx",
        precision="int8",
        devices=("cpu",),
        goldens="golden-int8.npz",
        measured=Measured(speedup=speedup, **figures),
    )
    files = {path.name: sha256(path) for path in version.iterdir() if path.name != MANIFEST}
    both = manifest.model_copy(update={"variants": (*manifest.variants, int8), "files": files})
    (version / MANIFEST).write_text(both.model_dump_json())
    return version
