"""Whole scale-equivariant classifiers: stages, a head with logits for every scale, the loss; and a plain network.

Source: Rahman, Yeh, "Truly Scale-Equivariant Deep Nets with Fourier Layers", NeurIPS 2023, and their code. The head
reads its features in the form that was meant; the published code transforms them back wrongly.

Input planes (N, C + 1, s, s): the image, and in the last plane the image's own size; what lies above that size's
frequencies must be nothing (`PixelSpec.fit = "spectral"` sees to it). The answer is read at the image's own scale.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.layers import FourierConv2d, Map, Matrices, ShellActivation, shared_matrices
from harmonic.pixels import resampler

_CONSISTENCY = 0.001  # weight of the hinge that a larger scale must not lose more than a smaller one
_PENALTY = 0.001  # weight of the kernels' regulariser, times the weight decay


class Stage(nn.Module):
    """activation(spectral(x) + mix(x)), with a 1x1 as `mix`."""

    def __init__(self, inputs: int, outputs: int, *, taps: int, grid: int, activation: nn.Module) -> None:
        super().__init__()
        self.spectral = FourierConv2d(inputs, outputs, taps, grid)
        self.mix = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.activation = activation

    def forward(self, x: Float[Tensor, "n in s s"]) -> Float[Tensor, "n out s2 s2"]:
        y: Tensor = self.activation(self.spectral(x) + self.mix(x))
        return y


class Residual(nn.Module):
    """last(mix(x) + second(middle(first(x)))): two spectral convolutions beside a 1x1."""

    def __init__(self, inputs: int, outputs: int, *, taps: int, grid: int, middle: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.first = FourierConv2d(inputs, outputs, taps, grid)
        self.middle = middle
        self.second = FourierConv2d(outputs, outputs, taps, grid)
        self.mix = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.last = last

    def forward(self, x: Float[Tensor, "n in s s"]) -> Float[Tensor, "n out s2 s2"]:
        y: Tensor = self.last(self.mix(x) + self.second(self.middle(self.first(x))))
        return y


class ScaleHead(nn.Module):
    """Logits for every scale: the features' first r frequencies on a fixed grid, max-pooled, through one shared MLP.

    first, step: of the scales r, up to the features' size. keep: the grid. window: of the pooling.
    """

    def __init__(
        self, channels: int, classes: int, *, first: int, step: int, keep: int, window: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.first, self.step, self.keep, self.window = first, step, keep, window
        inputs = channels * math.ceil(keep / window) ** 2
        self.mlp = nn.Sequential(
            nn.LayerNorm(inputs),
            nn.Linear(inputs, hidden),
            nn.Dropout(dropout),
            nn.LayerNorm(hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    def scales(self, size: int) -> list[int]:
        """The scales that features of a size have."""
        return [min(r, size, self.keep) for r in range(self.first, size + self.step, self.step)]

    def forward(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n scales classes"]:
        size = int(x.shape[-1])
        return self.read(x, _views(size, self.keep, tuple(self.scales(size)), x.dtype, x.device))

    def read(self, x: Float[Tensor, "n c s s"], views: Iterable[Map]) -> Float[Tensor, "n scales classes"]:
        """Logits from low-passed views of the features."""
        pooled = [F.max_pool2d(view(x), self.window, ceil_mode=True).flatten(1) for view in views]
        logits: Tensor = self.mlp(torch.stack(pooled, dim=1))
        return logits

    def at_size(self, size: int) -> nn.Module:
        """The same head for features of one size: a new module that shares the parameters."""
        return FixedHead(self, size)


class FixedHead(nn.Module):
    """A `ScaleHead` at one size, its matrices in buffers."""

    def __init__(self, head: ScaleHead, size: int) -> None:
        super().__init__()
        some = next(head.parameters())
        self.head = head
        self.views = nn.ModuleList(Matrices(resampler(size, head.keep, r)).to(some) for r in head.scales(size))

    def forward(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n scales classes"]:
        return self.head.read(x, self.views)


class FourierNet(nn.Module):
    """Scale-equivariant stages and a head with logits for every scale.

    shrink: by how much the stages divide the image's size, rounding up. largest: size of the largest image.
    """

    def __init__(
        self, stages: Sequence[nn.Module], head: ScaleHead, *, channels: int, shrink: int, largest: int
    ) -> None:
        super().__init__()
        self.stages, self.head = nn.Sequential(*stages), head
        self.channels, self.shrink, self.largest = channels, shrink, largest
        self.first, self.step = head.first, head.step

    def forward(self, planes: Float[Tensor, "n c1 s s"]) -> Float[Tensor, "n classes"]:
        logits = self.scales(planes[:, :-1])
        own = torch.ceil(planes[:, -1, 0, 0] / self.shrink)
        index = torch.ceil((own - self.first) / self.step).clamp(0, logits.shape[1] - 1)
        # A product with a one-hot row instead of a gather: every backend has it.
        chosen = (index[:, None] == torch.arange(logits.shape[1], device=index.device)).to(logits.dtype)
        return (logits * chosen[:, :, None]).sum(dim=1)

    def scales(self, x: Float[Tensor, "n c s s"]) -> Float[Tensor, "n scales classes"]:
        """Logits for every scale, the image's own last."""
        logits: Tensor = self.head(self.stages(x))
        return logits

    def loss(
        self, planes: Float[Tensor, "n c1 s s"], labels: Int64[Tensor, " n"], weight_decay: float
    ) -> tuple[Float[Tensor, ""], Float[Tensor, "n classes"]]:
        """Training loss of a batch of one size, and its logits at the largest scale.

        Cross-entropy summed over the scales, a hinge where a scale loses more than the one below, and the kernels'
        penalty.
        """
        logits = self.scales(planes[:, :-1])
        flat = F.cross_entropy(logits.flatten(0, 1), labels.repeat_interleave(logits.shape[1]), reduction="none")
        by_scale = flat.view(logits.shape[:2]).mean(dim=0)
        hinge = (by_scale[1:] - by_scale[:-1]).clamp(min=0).sum()
        penalty = torch.stack([m.penalty() for m in self.modules() if isinstance(m, FourierConv2d)]).sum()
        return by_scale.sum() + _CONSISTENCY * hinge + _PENALTY * weight_decay * penalty, logits[:, -1]

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Decay as published: none for kernels (they have their penalty), less for the norms of lower resolutions."""
        decays = {id(p): weight_decay for p in self.parameters()}
        for module in self.modules():
            if isinstance(module, FourierConv2d):
                decays[id(module.weight)] = 0.0
            if isinstance(module, ShellActivation):
                for index, size in enumerate(module.norm_sizes):
                    share = (size / module.norm_sizes[-1]) ** 2
                    decays[id(module.weight[index])] = decays[id(module.bias[index])] = weight_decay * share
        groups: dict[float, list[nn.Parameter]] = {}
        for parameter in self.parameters():
            groups.setdefault(decays[id(parameter)], []).append(parameter)
        return [{"params": parameters, "weight_decay": decay} for decay, parameters in groups.items()]

    def for_export(self) -> nn.Module:
        """The same answers for images brought to the largest size: real matrices and convolutions alone; a new
        module."""
        fixed = copy.deepcopy(self).eval()
        sizes = _sizes(fixed)
        for name, size in sizes.items():
            parent, _, child = name.rpartition(".")
            setattr(fixed.get_submodule(parent), child, fixed.get_submodule(name).at_size(size))  # type: ignore[operator]
        return fixed


class ScaleCnn(nn.Module):
    """Four plain 3x3 layers with norm and relu, two poolings, global mean and linear: for images of any size.

    Takes the same planes as `FourierNet` and sees the image at its own size, if that is what it is given.
    """

    def __init__(self, channels: int, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(zip((channels, *widths[:-1]), widths, strict=True)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            layers += [nn.MaxPool2d(2, ceil_mode=True)] if index % 2 else []
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, planes: Float[Tensor, "n c1 s s"]) -> Float[Tensor, "n classes"]:
        logits: Tensor = self.head(self.layers(planes[:, :-1]).mean(dim=(2, 3)))
        return logits


@lru_cache(maxsize=256)
def _views(size: int, keep: int, scales: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> tuple[Map, ...]:
    """Low-passes to each scale on the head's grid: constants, shared by all heads of equal settings."""
    return tuple(shared_matrices(resampler(size, keep, modes), dtype, device) for modes in scales)


def _sizes(network: FourierNet) -> dict[str, int]:
    """The size that every layer with a fixed form sees of the largest image, by the layer's name."""
    found: dict[str, int] = {}
    layers: dict[nn.Module, str] = {
        m: n for n, m in network.named_modules() if isinstance(m, FourierConv2d | ShellActivation | ScaleHead)
    }

    def remember(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        found[layers[module]] = arguments[0].shape[-1]

    hooks = [module.register_forward_pre_hook(remember) for module in layers]
    some = next(network.parameters())
    with torch.no_grad():
        network.scales(torch.zeros(1, network.channels, network.largest, network.largest).to(some))
    for hook in hooks:
        hook.remove()
    return found
