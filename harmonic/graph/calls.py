"""What a network does with an image of a given size: its layers in the order in which they run, their output sizes and
multiplications.

Runs a copy of the network on PyTorch's meta device, which computes shapes alone, so a 200-layer network takes no time.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harmonic.errors import SpectrumError, first_line
from harmonic.layers import is_convolution, whole_layers

ImageSize = tuple[int, int, int]  # channels, rows, columns


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a convolution or linear layer on one image.

    rows, columns: of its output (1 x 1 for a linear layer). macs: multiply-accumulates, fused (any level costs the
    same).
    """

    name: str
    layer: nn.Module
    rows: int
    columns: int
    macs: int

    @property
    def spatial(self) -> bool:
        """Whether it is a convolution that looks beyond a single pixel."""
        return is_spatial(self.layer)


def is_spatial(layer: nn.Module) -> bool:
    """Whether a layer is a convolution with a kernel larger than 1 x 1."""
    return is_convolution(layer) and max(layer.kernel_size) > 1


def trace(model: nn.Module, size: ImageSize) -> list[Call]:
    """Calls of convolutions and linear layers, in order, for one image; `layer` is the model's own.

    size: channels, rows, columns. Raises SpectrumError for a network that cannot run on such an image.
    """
    try:
        return _run(model, size, "meta")
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        pass  # Some networks compute with values while they run; those need real ones.
    try:
        return _run(model, size, "cpu")
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise SpectrumError(
            f"the network does not run on an image of {size}: {first_line(error)}. Give its own size."
        ) from error


def macs(model: nn.Module, size: ImageSize) -> int:
    """Multiply-accumulates of convolutions and linear layers for one image, each layer fused."""
    return sum(call.macs for call in trace(model, size))


def parameters(model: nn.Module) -> int:
    """How many numbers a network, or a layer, has to learn, shared ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def stages(calls: list[Call]) -> list[list[str]]:
    """Names of the spatial convolutions after the root, grouped by the size of their output, largest first."""
    after_root = [call for call in calls if call.spatial and call.layer is not root(calls).layer]
    sizes = sorted({(call.rows, call.columns) for call in after_root}, reverse=True)
    return [list(dict.fromkeys(c.name for c in after_root if (c.rows, c.columns) == size)) for size in sizes]


def root(calls: list[Call]) -> Call:
    """The first spatial convolution that runs."""
    first = next((call for call in calls if call.spatial), None)
    if first is None:
        raise SpectrumError("the network has no spatial convolution, so it has no root and no spectrum.")
    return first


def _run(model: nn.Module, size: ImageSize, device: str) -> list[Call]:
    own = dict(model.named_modules())
    twin = copy.deepcopy(model).to(device).eval()
    calls: list[Call] = []
    for name, layer in whole_layers(twin):
        if isinstance(layer, nn.Linear) or is_convolution(layer):
            layer.register_forward_hook(_recorder(name, own[name], calls))
    first = next((p for p in twin.parameters() if p.is_floating_point()), torch.empty(0))
    with torch.no_grad():
        twin(torch.zeros(1, *size, device=device, dtype=first.dtype))
    return calls


def _recorder(name: str, own: nn.Module, calls: list[Call]) -> Callable[[nn.Module, Any, Tensor], None]:
    def record(layer: nn.Module, _: Any, output: Tensor) -> None:
        if isinstance(layer, nn.Linear):
            calls.append(Call(name, own, 1, 1, output.numel() * layer.in_features))
        elif is_convolution(layer):
            taps = layer.kernel_size[0] * layer.kernel_size[1] * layer.in_channels // layer.groups
            calls.append(Call(name, own, output.shape[-2], output.shape[-1], output.numel() * taps))

    return record
