"""Convolutions as an ONNX graph, written by hand: PyTorch's exporter takes seconds for each."""

import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn


def convolutions(*layers: nn.Conv2d, size: tuple[int, int]) -> onnx.ModelProto:
    """Plain convolutions one after the other, each with a relu behind it but the last. Input `x`, output `y`."""
    nodes, constants, x = [], [], "x"
    for number, layer in enumerate(layers):
        name = f"network.network.layers.{number}"
        held = {f"{name}.weight": layer.weight} | ({f"{name}.bias": layer.bias} if layer.bias is not None else {})
        constants += [numpy_helper.from_array(value.detach().numpy(), key) for key, value in held.items()]
        nodes.append(helper.make_node("Conv", [x, *held], [f"conv{number}"], **_attributes(layer)))
        nodes.append(helper.make_node("Relu", [f"conv{number}"], [f"relu{number}"]))
        x = f"relu{number}"
    nodes.pop()
    nodes[-1].output[0] = "y"
    ends = (
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", layers[0].in_channels, *size]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", layers[-1].out_channels, None, None]),
    )
    graph = helper.make_graph(nodes, "layers", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def _attributes(layer: nn.Conv2d) -> dict[str, object]:
    padding = layer.padding
    assert not isinstance(padding, str)
    return {
        "kernel_shape": list(layer.kernel_size),
        "strides": list(layer.stride),
        "pads": [*padding, *padding],
        "dilations": list(layer.dilation),
        "group": layer.groups,
    }
