"""Memory of models comes back when they are let go: measured."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.manifest import read_manifest
from service.engine.memory import graph_bytes, resident_bytes
from tests.support.app import serving
from tests.support.colours import publish_colours
from tests.support.control import classified

log = logging.getLogger(__name__)


def heavy(megabytes: int) -> onnx.ModelProto:
    """The colour model with so much more weight, which changes no answer."""
    width = int((megabytes * 2**20 / 4) ** 0.5)
    tensors = {
        "matrix": (8 / 255 * np.eye(3)).astype(np.float32),
        "axes": np.array([1, 2]),
        "wide": np.zeros((3, width), np.float32),
        "weight": np.zeros((width, width), np.float32),
        "narrow": np.zeros((width, 3), np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "matrix"], ["colours"]),
        helper.make_node("MatMul", ["means", "wide"], ["first"]),
        helper.make_node("MatMul", ["first", "weight"], ["second"]),
        helper.make_node("MatMul", ["second", "narrow"], ["nothing"]),
        helper.make_node("Add", ["colours", "nothing"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "heavy",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_a_version_never_takes_less_than_its_weights(tmp_path: Path) -> None:
    folder = publish_colours(tmp_path / "models")
    assert graph_bytes(folder, read_manifest(folder)) == (folder / "model.onnx").stat().st_size
    assert resident_bytes() > 2**20


@pytest.mark.slow
async def test_what_a_version_took_is_the_systems_again_when_it_is_let_go(root: Path) -> None:
    for name in ("a", "b", "c"):
        publish_colours(root, name, graph=heavy(64))
    weights = (root / "a" / "1" / "model.onnx").stat().st_size

    async with serving(root, max_memory="200MB", threads=1, instances=1, max_batch=1) as (client, _):
        before = resident_bytes()
        await classified(client, "a")
        assert resident_bytes() - before >= 0.5 * weights  # some of it may be what this process had already
        for name in ("b", "c", "a") * 4:
            await classified(client, name)
        listed = (await client.get("/v1/models")).json()["models"]
        inside = [one for model in listed for one in model["versions"] if one["state"] == "ready"]
        assert 1 <= len(inside) < 3
        assert sum(one["memory_bytes"] for one in inside) <= 200e6
        log.info("%d MB more than before, with %d inside", (resident_bytes() - before) / 1e6, len(inside))
        assert resident_bytes() - before <= 200e6 + 0.2 * weights
