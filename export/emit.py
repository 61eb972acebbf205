"""A folded network to one ONNX file: prepared images in, logits out, any batch, normalisation inside the graph."""

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from export.errors import ExportError
from export.manifest import FEATURES
from harmonic.bundles import Classifier
from harmonic.errors import first_line
from harmonic.pixels import PixelSpec

# 18 is the oldest opset that PyTorch's exporter writes without conversion: every ONNX Runtime since 1.14, TensorRT 8.6
# and the Triton images of 2023 read it.
OPSET = 18
INPUT, OUTPUT = "images", "logits"


def emit(network: nn.Module, spec: PixelSpec, path: Path) -> None:
    """Write the network to `path`, weights inside the file, and check it with ONNX's own checker.

    The graph: `images` (batch, height, width, channels), of the spec's dtype -> `logits` float32 (batch, classes).
    The batch is dynamic.
    Raises ExportError for a network that ONNX cannot express or a file beyond 2 GB.
    """
    example = torch.zeros((2, *spec.shape), dtype=torch.from_numpy(np.empty(0, spec.dtype)).dtype)
    _emit(Classifier(_Planes(network), spec).eval(), example, INPUT, path)


def emit_body(body: nn.Module, shape: tuple[int, int, int], path: Path) -> None:
    """The same for the rest of a network behind its stem: `features` float32 (batch, *shape) -> `logits`."""
    _emit(body.eval(), torch.zeros((2, *shape)), FEATURES, path)


class _Planes(nn.Module):
    """A network that is given one plane a channel.

    Pixels come with their channels last; where that order of memory is left, PyTorch's exporter spells out pooling
    over the whole image as a gather of computed addresses.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x.contiguous())
        return logits


def _emit(network: nn.Module, example: Tensor, input_name: str, path: Path) -> None:
    with warnings.catch_warnings():
        # The exporter warns about its own deprecations, which say nothing of this graph.
        warnings.simplefilter("ignore")
        _quiet_exporter()
        try:
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                input_names=[input_name],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
                optimize=True,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ExportError(f"this network cannot be expressed in ONNX: {_cause(error)}") from error
    if program is None:
        raise ExportError("PyTorch's ONNX exporter returned no graph.")
    model = _without_traces(program.model_proto)
    onnx.save(model, path)
    _check(model)


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop the exporter's notes: stack traces name files of the machine that exported."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model


def _check(model: onnx.ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    taken, given = (
        end.type.tensor_type.shape.dim[0].dim_param for end in (model.graph.input[0], model.graph.output[0])
    )
    if not taken or taken != given:
        raise ExportError("the network computes with a fixed batch: some layer mixes or unrolls the images of a batch.")


def _quiet_exporter() -> None:
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
