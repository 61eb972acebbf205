"""Shallow networks for 32 x 32 images that learn in few epochs: a root, three blocks of two or three convolutions.

Source: the shapes, narrow ahead of a wide rest, are those of airbench94 and airbench96 in Jordan, "94% on CIFAR-10 in
3.29 Seconds on a Single GPU", 2024. There a fixed bank of whitened patches comes first; here it is the harmonic root,
whose norm gives every band variance 1, and a relu stands for the gelu.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.errors import ZooError
from harmonic.layers import BandNormConv2d, HarmonicConv2d
from harmonic.zoo.registry import register
from harmonic.zoo.wrn import CIFAR10

Level = int | None
ConvFactory = Callable[..., nn.Module]

_WIDTHS = (64, 256, 256)  # times the width in the name
_ROOT_CHANNELS = 32
_CALM = 9  # Maxima are large: without it the last layer would learn faster than all the others.
# No border: 31 x 31 pixels and then 15, 7 and 3 are a tenth of the work less than 32, 16, 8 and 4.
_plain_root = partial(nn.Conv2d, 3, _ROOT_CHANNELS, kernel_size=2)
_banded_root = partial(BandNormConv2d, 3, _ROOT_CHANNELS, kernel_size=2, init="fan_in")
_plain3x3 = partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)


def _harmonic3x3(level: Level) -> ConvFactory:
    return partial(HarmonicConv2d, kernel_size=3, padding=1, bias=False, init="fan_in", level=level)


def _shift_norm(channels: int) -> nn.BatchNorm2d:
    """A norm that learns a shift and no scale: it keeps the order of numbers, so that export may take it in front of
    the maximum, into the convolution."""
    norm = nn.BatchNorm2d(channels, affine=False)
    norm.bias = nn.Parameter(torch.zeros(channels))
    return norm


class ShallowBlock(nn.Module):
    """3x3, largest of every 2x2, norm, relu, 3x3, norm, relu."""

    def __init__(self, conv: ConvFactory, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = conv(in_channels, out_channels)
        self.norm0 = _shift_norm(out_channels)
        self.conv1 = conv(out_channels, out_channels)
        self.norm1 = _shift_norm(out_channels)

    def forward(self, x: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h2 w2"]:
        x = F.relu(self.norm0(F.max_pool2d(self.conv0(x), 2)))
        return F.relu(self.norm1(self.conv1(x)))


class SkippedBlock(ShallowBlock):
    """3x3, largest of every 2x2, norm, relu, and around the next two 3x3 with their norms a skip, relu."""

    def __init__(self, conv: ConvFactory, in_channels: int, out_channels: int) -> None:
        super().__init__(conv, in_channels, out_channels)
        self.conv2 = conv(out_channels, out_channels)
        self.norm2 = _shift_norm(out_channels)

    def forward(self, x: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h2 w2"]:
        x = F.relu(self.norm0(F.max_pool2d(self.conv0(x), 2)))
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class CifarVGG(nn.Module):
    """Root 2x2, relu, three blocks that halve the sides, largest of every channel, linear."""

    def __init__(self, root: nn.Module, blocks: Sequence[nn.Module], features: int, classes: int) -> None:
        super().__init__()
        self.root = root
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(features, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        features = self.blocks(F.relu(self.root(x)))
        logits: Tensor = self.head(features.amax(dim=(2, 3)) / _CALM)
        return logits


def _build(
    width: float, root: nn.Module, convs: Sequence[ConvFactory], classes: int, block: type[ShallowBlock] = ShallowBlock
) -> CifarVGG:
    widths = [int(channels * width) for channels in _WIDTHS]
    if min(widths) < 1:
        raise ZooError(f"width {width} leaves no channels; use 1, 2 or a fraction from 0.015625.")
    channels = (_ROOT_CHANNELS, *widths)
    blocks = [block(conv, channels[n], channels[n + 1]) for n, conv in enumerate(convs)]
    return CifarVGG(root, blocks, widths[-1], classes)


def _harmonic_convs(level: Level | Sequence[Level]) -> list[ConvFactory]:
    levels: list[Level] = [level] * len(_WIDTHS) if level is None or isinstance(level, int) else list(level)
    if len(levels) != len(_WIDTHS):
        raise ZooError(f"level is one value, or one for each of the 3 blocks, not {level!r}.")
    return [_harmonic3x3(each) for each in levels]


@register("cifar_vgg7_{width}", pixels=CIFAR10, listed=("cifar_vgg7_1",), stand_in="cifar_vgg7_0.125")
def cifar_vgg7(width: float, classes: int) -> nn.Module:
    """VGG of 7 convolutions for 32 x 32 images."""
    return _build(width, _plain_root(), [_plain3x3] * 3, classes)


@register("cifar_harm_vgg7_{width}", pixels=CIFAR10, listed=("cifar_harm_vgg7_1",), stand_in="cifar_harm_vgg7_0.125")
def cifar_harm_vgg7(width: float, classes: int, level: Level | Sequence[Level] = None) -> nn.Module:
    """VGG of 7 harmonic convolutions for 32 x 32 images; `level` is one value or one per block."""
    return _build(width, _banded_root(), _harmonic_convs(level), classes)


@register("cifar_vgg10_{width}", pixels=CIFAR10, listed=("cifar_vgg10_1",), stand_in="cifar_vgg10_0.125")
def cifar_vgg10(width: float, classes: int) -> nn.Module:
    """VGG of 10 convolutions for 32 x 32 images, with a skip in every block."""
    return _build(width, _plain_root(), [_plain3x3] * 3, classes, SkippedBlock)


@register("cifar_harm_vgg10_{width}", pixels=CIFAR10, listed=("cifar_harm_vgg10_1",), stand_in="cifar_harm_vgg10_0.125")
def cifar_harm_vgg10(width: float, classes: int, level: Level | Sequence[Level] = None) -> nn.Module:
    """VGG of 10 harmonic convolutions for 32 x 32 images, with a skip in every block; `level` as of 7 convolutions."""
    return _build(width, _banded_root(), _harmonic_convs(level), classes, SkippedBlock)
