"""ResNet-18 for small images with large windowed kernels, and the plain kernels it is compared with.

Source: Tomen, van Gemert, ICCV 2021; the network, its widths and its parameter counts follow the open implementation
non-leaking-conv by E. Kashin. One departure: every variant draws its weights by the same rule, so that only the
kernel and its window differ between the compared networks.
"""

from collections.abc import Callable
from functools import partial
from typing import cast

from torch import nn
from torchvision.models import resnet18

from harmonic.errors import ZooError
from harmonic.layers import FactorisedConv2d, HammingConv2d
from harmonic.zoo.registry import register
from harmonic.zoo.wrn import CIFAR10

_KERNELS = (3, 5, 7, 9)


@register(
    "hamming_resnet18",
    pixels=CIFAR10,
    listed=("hamming_resnet18",),
    stand_in="hamming_resnet18",
    stand_in_arguments={"width": 0.0625, "kernel": 5, "factorised": True},
)
def hamming_resnet18(
    classes: int, kernel: int = 7, window: bool = True, factorised: bool = False, width: float = 1.0
) -> nn.Module:
    """ResNet-18 for 32 x 32 images with k x k kernels, windowed or plain, square or factorised, at any width."""
    if kernel not in _KERNELS:
        raise ZooError(f"kernel is one of {', '.join(map(str, _KERNELS))}, not {kernel!r}.")
    if not 0.02 <= width <= 16:
        raise ZooError(f"width is a factor from 0.02 to 16, not {width!r}.")
    if not isinstance(window, bool) or not isinstance(factorised, bool):
        raise ZooError(f"window and factorised are true or false, not {window!r} and {factorised!r}.")
    factor = HammingConv2d if window else nn.Conv2d
    conv = partial(FactorisedConv2d, conv=factor) if factorised else factor
    network = resnet18(num_classes=classes)
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    _rebuild(network, lambda c: int(c * width), conv, kernel)
    _initialise(network)
    return cast(nn.Module, network)


def _rebuild(network: nn.Module, scaled: Callable[[int], int], conv: Callable[..., nn.Module], kernel: int) -> None:
    """Replace, in place, every layer by one of the scaled width, and every 3x3 convolution by a k x k one."""
    for name, layer in list(network.named_modules()):
        new: nn.Module
        if isinstance(layer, nn.Conv2d):
            inputs = layer.in_channels if layer.in_channels == 3 else scaled(layer.in_channels)
            kind, side = (conv, kernel) if layer.kernel_size == (3, 3) else (nn.Conv2d, layer.kernel_size[0])
            channels = (inputs, scaled(layer.out_channels))
            new = kind(*channels, side, stride=layer.stride[0], padding=side // 2, bias=False)
        elif isinstance(layer, nn.BatchNorm2d):
            new = nn.BatchNorm2d(scaled(layer.num_features))
        elif isinstance(layer, nn.Linear):
            new = nn.Linear(scaled(layer.in_features), layer.out_features)
        else:
            continue
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, new)


def _initialise(network: nn.Module) -> None:
    """Kaiming normal, fan_out, for every convolution; the window is not compensated, the norm after it does that."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | HammingConv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
