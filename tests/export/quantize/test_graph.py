"""A graph that is rewritten stays a graph: names stay one's own, and what nothing needs goes."""

import numpy as np
from onnx import helper

from export.quantize.graph import Graph, attribute, ranks
from tests.support.graphs import residual


def test_the_model_that_is_given_stays_as_it_is() -> None:
    model = residual()
    before = model.SerializeToString()
    graph = Graph(model)
    graph.add_constant("w0", np.zeros(3, dtype=np.float32))
    graph.rename_reads("stream", "branch")
    graph.replace(graph.nodes[-1], [])
    assert model.SerializeToString() == before


def test_a_constant_never_takes_a_name_that_is_there() -> None:
    graph = Graph(residual())
    names = {graph.add_constant("w0", np.zeros(1)), graph.add_constant("w0", np.ones(1)), graph.free_name("stream")}
    assert len(names) == 3
    assert not names & {"w0", "stream"}


def test_who_makes_and_who_reads_a_tensor_is_known() -> None:
    graph = Graph(residual())
    maker = graph.producer("stream")
    assert maker is not None
    assert maker.op_type == "Add"
    assert sorted(node.op_type for node in graph.readers("stream")) == ["Add", "BatchNormalization"]
    assert graph.producer("images") is None
    assert graph.read_once("inner")
    assert not graph.read_once("stream")
    assert not graph.read_once("logits")


def test_a_constant_that_nothing_reads_any_more_goes() -> None:
    graph = Graph(residual())
    head = graph.nodes[-1]
    graph.replace(head, [helper.make_node("Gemm", [*head.input[:2]], ["logits"], name="head", transB=1)])
    assert "head_bias" not in {constant.name for constant in graph.tidy().graph.initializer}


def test_ranks_and_attributes_are_read_from_the_graph() -> None:
    model = residual()
    assert (ranks(model)["stream"], ranks(model)["pooled"]) == (4, 2)
    head = model.graph.node[-1]
    assert (attribute(head, "transB", 0), attribute(head, "transA", 0)) == (1, 0)
