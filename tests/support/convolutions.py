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


def slowed(model: onnx.ModelProto, times: int = 30) -> onnx.ModelProto:
    """The same answers for many times the work: the last convolution of all channels is worked out again and again."""
    new = onnx.ModelProto()
    new.CopyFrom(model)
    nodes, constants = new.graph.node, {tensor.name: tensor for tensor in new.graph.initializer}
    place = max(place for place, node in enumerate(nodes) if node.op_type == "Conv")
    last = onnx.NodeProto()
    last.CopyFrom(nodes[place])
    answer, bias = last.output[0], numpy_helper.to_array(constants[last.input[2]])
    made: list[onnx.NodeProto] = []
    for number in range(times):
        # A bias of its own: ONNX Runtime works out equal nodes once. They differ by less than answers are rounded.
        own = numpy_helper.from_array((bias + number * 1e-7).astype("float32"), f"{answer}.bias_{number}")
        new.graph.initializer.append(own)
        again = helper.make_node("Conv", [*last.input[:2], own.name], [f"{answer}_{number}"], name=f"again_{number}")
        again.attribute.extend(last.attribute)
        made.append(again)
    mean = helper.make_node("Mean", [node.output[0] for node in made], [answer], name="mean")
    behind = list(nodes)[place + 1 :]
    del nodes[place:]
    nodes.extend([*made, mean, *behind])
    return new


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
