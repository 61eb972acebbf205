"""Convolutions of an ONNX graph: found, written in another form, and counted in multiplications."""

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy import ndarray
from onnx import ModelProto, NodeProto, numpy_helper, shape_inference

from export.layout.convolution import Convolution
from export.layout.forms import write
from export.layout.spans import span
from export.layout.writer import Content, Geometry, Writer

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Place:
    """A spatial convolution of a graph. name: its layer's. answer: the tensor that it computes."""

    name: str
    answer: str
    convolution: Convolution


def places(model: ModelProto) -> list[Place]:
    """The spatial convolutions of a graph that are no depth-wise ones, in the order in which they run."""
    shapes, constants = shapes_of(model), _constants(model)
    return [place for node in model.graph.node if (place := _place(node, shapes, constants)) is not None]


def rewritten(model: ModelProto, forms: Sequence[tuple[Place, str]]) -> ModelProto:
    """A new model with some of its places in these forms; a sum that alone reads a place's answer becomes a part."""
    wanted = {place.answer: (place, form) for place, form in forms}
    sums = _sums(model, wanted)
    summed = {answer for answer, _ in sums.values()}
    taken = {node.output[0]: node.input[0] for node in model.graph.node if node.output[0] in wanted}
    known: dict[Content, str] = {}
    new = ModelProto()
    new.CopyFrom(model)
    del new.graph.node[:]
    for node in model.graph.node:
        answer, plus = sums.get(node.output[0], (node.output[0], None))
        if answer in wanted and node.output[0] not in summed:
            place, form = wanted[answer]
            # A layer may stand in several places, so its name alone would not do.
            writer = Writer(f"{place.name}.{place.answer}", known)
            last = write(form, writer, place.convolution, taken[answer], plus)
            next(made for made in writer.nodes if made.output[0] == last).output[0] = node.output[0]
            new.graph.node.extend(writer.nodes)
            new.graph.initializer.extend(writer.constants)
        elif answer not in wanted:
            new.graph.node.append(node)
    _drop_unused(new)
    return new


def _sums(model: ModelProto, wanted: Container[str]) -> dict[str, tuple[str, str]]:
    """Of each sum that can become part of a place: the place's answer, and the other tensor that is added to it.

    The place is then written where the sum stands, which is behind both.
    """
    shapes, ends = shapes_of(model), {end.name for end in model.graph.output}
    uses = Counter(name for node in model.graph.node for name in node.input)
    found: dict[str, tuple[str, str]] = {}
    for node in model.graph.node:
        if node.op_type != "Add" or shapes.get(node.input[0]) != shapes.get(node.input[1]):
            continue
        for answer, other in (tuple(node.input), tuple(reversed(node.input))):
            if answer in wanted and uses[answer] == 1 and answer not in ends:
                found[node.output[0]] = (answer, other)
                break
    return found


def multiplications(model: ModelProto) -> int:
    """Multiply-accumulates that the graph takes for one image: convolutions, pools and matrix products."""
    shapes = shapes_of(model)
    known = {tensor.name for tensor in model.graph.initializer}
    return sum(_multiplications(node, shapes) for node in model.graph.node if not known.issuperset(node.input))


def shapes_of(model: ModelProto) -> dict[str, Shape]:
    """The shape of every tensor that has one; 1 for what is not fixed, which is the batch."""
    inferred = shape_inference.infer_shapes(model).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.value_info, *inferred.input, *inferred.output):
        shapes[value.name] = tuple(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim)
    return shapes


def _place(node: NodeProto, shapes: Mapping[str, Shape], constants: Mapping[str, ndarray]) -> Place | None:
    if node.op_type != "Conv" or not all(name in constants for name in node.input[1:]):
        return None
    kernels, told = constants[node.input[1]], _Told(node)
    spatial = kernels.ndim == 4 and math.prod(kernels.shape[2:]) > 1 and kernels.shape[1] > 1
    if not spatial or told.padded_by_size or not (kernels.any() and np.isfinite(kernels).all()):
        return None
    rows, columns = shapes[node.input[0]][2:]
    bias = constants[node.input[2]] if len(node.input) > 2 else None
    convolution = Convolution(span(kernels), (rows, columns), told.geometry, told.groups, bias)
    return Place(_layer(node.input[1]), node.output[0], convolution)


class _Told:
    """What a convolution's node says of itself, and ONNX's defaults where it does not."""

    def __init__(self, node: NodeProto) -> None:
        self._said = {attribute.name: attribute for attribute in node.attribute}

    @property
    def padded_by_size(self) -> bool:
        return "auto_pad" in self._said and self._said["auto_pad"].s not in (b"NOTSET", b"VALID")

    @property
    def geometry(self) -> Geometry:
        above, left, below, right = self._numbers("pads", [0, 0, 0, 0])
        (down, across), (step, reach) = self._numbers("strides", [1, 1]), self._numbers("dilations", [1, 1])
        return Geometry((down, across), (above, left, below, right), (step, reach))

    @property
    def groups(self) -> int:
        return self._said["group"].i if "group" in self._said else 1

    @property
    def window(self) -> list[int]:
        return self._numbers("kernel_shape", [])

    def _numbers(self, name: str, otherwise: list[int]) -> list[int]:
        return list(self._said[name].ints) if name in self._said else otherwise


def _layer(weight: str) -> str:
    """The layer of a weight; PyTorch's exporter puts the wrappers of the network before its name."""
    name = weight.removesuffix(".weight")
    while name.startswith("network."):
        name = name.removeprefix("network.")
    return name


def _constants(model: ModelProto) -> dict[str, ndarray]:
    floats = (tensor for tensor in model.graph.initializer if tensor.data_type == tensor.FLOAT)
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in floats}


def _drop_unused(model: ModelProto) -> None:
    """Constants that nothing reads any more, and what the graph noted of tensors that are gone."""
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    made = {name for node in graph.node for name in node.output}
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    made |= {tensor.name for tensor in constants}
    notes = [value for value in graph.value_info if value.name in made]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(constants)
    graph.value_info.extend(notes)


def _multiplications(node: NodeProto, shapes: Mapping[str, Shape]) -> int:
    if not all(name in shapes for name in (node.input[0], node.output[0])):
        return 0
    answers = math.prod(shapes[node.output[0]])
    if node.op_type == "Conv":
        return answers * math.prod(shapes[node.input[1]][1:])
    if node.op_type == "AveragePool":
        return answers * math.prod(_Told(node).window)
    if node.op_type in ("Gemm", "MatMul"):
        return answers * shapes[node.input[0]][-1]
    return 0
