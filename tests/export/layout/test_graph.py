"""Graphs are read, rewritten, and counted."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

from export.layout import multiplications, places, rewritten
from export.layout.timing import serialised, session
from harmonic.layers import HarmonicConv2d
from tests.support.convolutions import convolutions


def _layer(*channels: int, **geometry: int) -> nn.Conv2d:
    torch.manual_seed(0)
    return HarmonicConv2d(*channels, padding=1, **geometry).as_conv2d()


def test_spatial_convolutions_are_found_in_order_with_their_layers_names() -> None:
    depthwise, point = nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 1)
    model = convolutions(_layer(4, 8, level=2), depthwise, point, _layer(8, 6, stride=2, groups=2), size=(9, 11))
    found = places(model)
    assert [place.name for place in found] == ["layers.0", "layers.3"]
    assert [place.convolution.size for place in found] == [(9, 11), (7, 9)]
    last = found[1].convolution
    assert (last.inputs, last.outputs, last.groups, last.geometry.strides) == (8, 6, 2, (2, 2))


def test_a_graph_in_other_forms_is_sound_and_holds_nothing_of_the_old_kernels() -> None:
    model = convolutions(_layer(16, 32, level=2), _layer(32, 32, level=3), size=(8, 8))
    new = rewritten(model, [(place, "bands") for place in places(model)])
    onnx.checker.check_model(new, full_check=True)
    assert not any(list(tensor.dims[1:]) == [32, 3, 3] for tensor in new.graph.initializer)
    assert new.ByteSize() < 0.85 * model.ByteSize()
    assert multiplications(new) < 0.8 * multiplications(model)
    assert len(places(model)) == 2, "the given model stays as it is"


def test_places_of_one_weight_are_rewritten_each_for_itself() -> None:
    layer = _layer(8, 8, level=1)
    model = convolutions(layer, layer, size=(8, 8))
    model.graph.node[2].input[1] = model.graph.node[0].input[1]
    first, second = places(model)
    onnx.checker.check_model(rewritten(model, [(first, "bands"), (second, "mixed")]), full_check=True)
    half = rewritten(model, [(first, "bands")])
    onnx.checker.check_model(half, full_check=True)
    assert places(half)[0].answer == second.answer


def test_multiplications_are_those_of_the_graph() -> None:
    model = convolutions(_layer(4, 8), nn.Conv2d(8, 2, 1), size=(5, 7))
    assert multiplications(model) == 35 * (4 * 8 * 9 + 8 * 2)
    separable = convolutions(_layer(4, 8, groups=2), size=(5, 7))
    assert multiplications(separable) == 35 * 2 * 8 * 9


def test_a_convolution_that_cannot_be_read_stays_as_it_is() -> None:
    model = convolutions(_layer(4, 8, level=2), size=(8, 8))
    model.graph.node[0].attribute.append(helper.make_attribute("auto_pad", "SAME_UPPER"))
    assert places(model) == []
    broken = convolutions(_layer(4, 8, level=2), size=(8, 8))
    tensor = broken.graph.initializer[0]
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0, 0, 0, 0] = np.nan
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    assert places(broken) == []


def _block(*, shortcut: bool) -> onnx.ModelProto:
    """y = second(relu(first(x))) + x, or + third(x)."""
    layers = [_layer(8, 8, level=2) for _ in range(3)]
    model = convolutions(*layers, size=(7, 9))
    third = next(node for node in model.graph.node if node.output[0] == "y")
    third.output[0], third.input[0] = "side", "x"
    added = ["conv1", "side"] if shortcut else ["x", "conv1"]
    if not shortcut:
        model.graph.node.remove(third)
    relu = next(node for node in model.graph.node if node.output[0] == "relu1")
    model.graph.node.remove(relu)
    model.graph.node.append(helper.make_node("Add", added, ["y"]))
    return model


@pytest.mark.parametrize(
    "form", ["fused", "bands", "pooled", "stacked", "mixed", "grouped", "separable", "winograd_4x4"]
)
@pytest.mark.parametrize("shortcut", [False, True])
def test_a_sum_behind_a_place_becomes_part_of_it(form: str, shortcut: bool) -> None:
    model = _block(shortcut=shortcut)
    found = places(model)
    assert len(found) == 2 + shortcut
    new = rewritten(model, [(place, form) for place in found])
    onnx.checker.check_model(new, full_check=True)
    x = np.random.default_rng(0).normal(size=(2, 8, 7, 9)).astype(np.float32)
    expected, answer = (session(serialised(each)).run(None, {"x": x})[0] for each in (model, new))
    np.testing.assert_allclose(answer, expected, atol=1e-5 * np.abs(expected).max())
    if form == "bands":
        first = next(node for node in new.graph.node if node.op_type == "Add" and "conv1" in node.name)
        assert first.input[1] == ("side" if shortcut else "x")


def test_an_answer_that_others_read_too_is_not_taken_into_a_sum() -> None:
    model = _block(shortcut=False)
    model.graph.node.append(helper.make_node("Relu", ["conv1"], ["other"]))
    model.graph.output.append(helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, ["batch", 8, 7, 9]))
    new = rewritten(model, [(place, "bands") for place in places(model)])
    onnx.checker.check_model(new, full_check=True)
    x = np.ones((1, 8, 7, 9), np.float32)
    for expected, answer in zip(*(session(serialised(each)).run(None, {"x": x}) for each in (model, new)), strict=True):
        np.testing.assert_allclose(answer, expected, atol=1e-4)
