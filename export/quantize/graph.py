"""An ONNX graph that is being rewritten: who makes a tensor, who reads it, and the constants by name.

A graph of an image classifier has some hundred nodes, so every question walks over all of them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper


class Graph:
    """A model's graph, changed in place. The model that is given is copied, and stays as it is."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.body = self.model.graph
        self._constants = {constant.name: constant for constant in self.body.initializer}
        self._taken = {name for node in self.body.node for name in (*node.input, *node.output)} | {*self._constants}

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """The nodes in their order, in a list of its own: nodes may come and go meanwhile."""
        return list(self.body.node)

    @property
    def outputs(self) -> set[str]:
        """Names of what the graph answers."""
        return {output.name for output in self.body.output}

    def producer(self, tensor: str) -> onnx.NodeProto | None:
        """The node that makes a tensor; None for constants and for what the graph takes."""
        return next((node for node in self.body.node if tensor in node.output), None)

    def readers(self, tensor: str) -> list[onnx.NodeProto]:
        """The nodes that read a tensor; one that reads it twice is there once."""
        return [node for node in self.body.node if tensor in node.input]

    def read_once(self, tensor: str) -> bool:
        """True for a tensor that one place of one node reads, and nobody else."""
        uses = sum(list(node.input).count(tensor) for node in self.body.node)
        return uses == 1 and tensor not in self.outputs

    def constant(self, name: str) -> NDArray[Any] | None:
        """A constant by name; None for a tensor that is worked out."""
        found = self._constants.get(name)
        return None if found is None else numpy_helper.to_array(found)

    def weights(self, name: str) -> NDArray[np.float64]:
        """A constant in float64, for arithmetic."""
        return numpy_helper.to_array(self._constants[name]).astype(np.float64)

    def add_constant(self, near: str, value: NDArray[Any]) -> str:
        """Put a constant in, under a name like `near`. Returns the name."""
        name = self.free_name(near)
        self.body.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        self._constants[name] = self.body.initializer[-1]
        return name

    def free_name(self, near: str) -> str:
        """A name that nothing has yet."""
        name, number = near, 1
        while name in self._taken:
            name, number = f"{near}_{number}", number + 1
        self._taken.add(name)
        return name

    def replace(self, old: onnx.NodeProto, new: Iterable[onnx.NodeProto]) -> None:
        """Put nodes where one was."""
        place = list(self.body.node).index(old)
        self.body.node.remove(old)
        for offset, node in enumerate(new):
            self.body.node.insert(place + offset, node)

    def insert_behind(self, maker: onnx.NodeProto | None, new: Iterable[onnx.NodeProto]) -> None:
        """Put nodes behind one; before all others where there is none."""
        place = 0 if maker is None else list(self.body.node).index(maker) + 1
        for offset, node in enumerate(new):
            self.body.node.insert(place + offset, node)

    def rename_reads(self, old: str, new: str) -> None:
        """Let all who read one tensor read another."""
        for node in self.body.node:
            _renamed(node, {old: new})

    def tidy(self) -> onnx.ModelProto:
        """The model, without the constants and the noted shapes that nothing needs any more."""
        used = {name for node in self.body.node for name in node.input} | self.outputs
        for name in self._constants.keys() - used:
            self.body.initializer.remove(self._constants.pop(name))
        self.body.ClearField("value_info")
        onnx.checker.check_model(self.model, full_check=True)
        return self.model


def attribute(node: onnx.NodeProto, name: str, otherwise: Any) -> Any:
    """An attribute's value; `otherwise` where it is not written."""
    found = next((one for one in node.attribute if one.name == name), None)
    return otherwise if found is None else onnx.helper.get_attribute_value(found)


def ranks(model: onnx.ModelProto) -> dict[str, int]:
    """How many dimensions each tensor has, where that can be told."""
    return {value.name: len(value.type.tensor_type.shape.dim) for value in _known(model)}


def channels(model: onnx.ModelProto) -> dict[str, int]:
    """How many planes each tensor of four dimensions has, where that can be told."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in _known(model)}
    return {name: shape[1].dim_value for name, shape in shapes.items() if len(shape) == 4 and shape[1].dim_value}


def maps(model: onnx.ModelProto) -> dict[str, tuple[int, int, int]]:
    """Channels, rows and columns of each tensor of four dimensions, where all three can be told."""
    shapes = {value.name: [one.dim_value for one in value.type.tensor_type.shape.dim] for value in _known(model)}
    return {name: (s[1], s[2], s[3]) for name, s in shapes.items() if len(s) == 4 and all(s[1:])}


def floats(model: onnx.ModelProto) -> set[str]:
    """The tensors that hold float32 numbers, as far as that can be told; shapes that are worked out hold integers."""
    return {value.name for value in _known(model) if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}


def _known(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    return [*graph.input, *graph.output, *graph.value_info]


def _renamed(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    for place, name in enumerate(node.input):
        node.input[place] = names.get(name, name)
