"""Split a network behind its band-normalised root: a stem that PyTorch runs, and a body for ONNX.

The stem keeps its three steps (bank, norm, 1x1) instead of folding them into one convolution, so that its norm can be
looked at, and moved, while it serves. Its tensors and figures say everything: no class is needed to run it.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch
from jaxtyping import Float
from safetensors.torch import save
from torch import Tensor, nn

from export.errors import ExportError
from export.fold import Exportable, fold
from export.manifest import NormMode, Stem
from harmonic.bundles import Classifier
from harmonic.conversion import put
from harmonic.errors import SpectrumError
from harmonic.graph import root, trace
from harmonic.layers import BandNormConv2d
from harmonic.pixels import PixelSpec


@dataclass(frozen=True)
class Split:
    """A network in two: body(root(x)) is the network. The body is folded; shape is (channels, rows, columns) between
    them."""

    root: BandNormConv2d
    body: nn.Module
    shape: tuple[int, int, int]


def split(network: nn.Module, spec: PixelSpec) -> Split:
    """Cut a network behind its root. The network is not changed.

    Raises ExportError where the root is no band-normalised layer with running statistics, or is not alone in reading
    the input.
    """
    whole = (network.for_export() if isinstance(network, Exportable) else copy.deepcopy(network)).eval()
    name, layer = _root(whole, spec)
    body = copy.deepcopy(whole)
    put(body, body.get_submodule(name), nn.Identity())
    x = torch.rand(2, spec.channels, spec.height, spec.width, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        features = layer(x)
        if not _same(whole(x), body, features):
            raise ExportError(f"{name} is not alone in reading the input, so the network has no stem to take off.")
    return Split(layer, fold(body), cast(tuple[int, int, int], tuple(features.shape[1:])))


def write_stem(cut: Split, spec: PixelSpec, path: Path, norm: NormMode) -> Stem:
    """Write the root's tensors, normalisation of the pixels included, and return the figures that the manifest keeps.

    Tensors, float32: `scale`, `shift` (channels): pixels to network input; `bank` (filters, 1, rows, columns);
    `mean`, `var` (bands); `weight` (out, bands / groups, 1, 1); `bias` (out) where there is one.
    """
    layer, pixels = cut.root, Classifier(nn.Identity(), spec)
    mean, var = _statistics(layer)
    tensors = {
        "scale": pixels.scale.flatten(),
        "shift": pixels.shift.flatten(),
        "bank": layer.bank.unsqueeze(1),
        "mean": mean,
        "var": var,
        "weight": layer.weight.detach(),
    }
    if layer.bias is not None:
        tensors["bias"] = layer.bias.detach()
    path.write_bytes(save({name: tensor.float().contiguous() for name, tensor in tensors.items()}))
    return Stem(
        file=path.name,
        output=cut.shape,
        stride=_pair(layer.stride),
        padding=_named(layer.padding) if isinstance(layer.padding, str) else _pair(layer.padding),
        padding_mode=layer.padding_mode,
        dilation=_pair(layer.dilation),
        groups=layer.groups,
        eps=layer.norm.eps,
        norm=norm,
    )


def _root(network: nn.Module, spec: PixelSpec) -> tuple[str, BandNormConv2d]:
    try:
        call = root(trace(network, (spec.channels, spec.height, spec.width)))
    except SpectrumError as error:
        raise ExportError(f"the network cannot be split: {error}") from error
    layer = call.layer
    if not isinstance(layer, BandNormConv2d):
        raise ExportError(
            f"the first layer, {call.name}, is a {type(layer).__name__}: only a BandNormConv2d is worth a native stem. "
            "Export with --stem folded."
        )
    _statistics(layer)
    return call.name, layer


def _statistics(layer: BandNormConv2d) -> tuple[Float[Tensor, " bands"], Float[Tensor, " bands"]]:
    mean, var = layer.norm.running_mean, layer.norm.running_var
    if mean is None or var is None:
        raise ExportError("the first layer's norm has no running statistics, so nothing of it can be frozen.")
    return mean, var


def _same(expected: Tensor, body: nn.Module, features: Tensor) -> bool:
    """Whether the body makes the network's answers of the root's output."""
    try:
        found = body(features)
    except (RuntimeError, ValueError, TypeError, IndexError):  # shapes that do not fit: it reads the input elsewhere
        return False
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-4, atol=1e-4, equal_nan=True)


def _named(padding: str) -> Literal["same", "valid"]:
    return "same" if padding == "same" else "valid"


def _pair(figures: tuple[int, ...]) -> tuple[int, int]:
    return figures[0], figures[1]
