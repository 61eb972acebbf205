"""Graphs are read, rewritten, and counted."""

import numpy as np
import onnx
import torch
from onnx import helper
from torch import nn

from export.layout import multiplications, places, rewritten
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
