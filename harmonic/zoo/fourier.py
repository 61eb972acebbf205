"""Truly scale-equivariant classifiers by name, and the plain network that they are compared with.

Source: Rahman, Yeh, "Truly Scale-Equivariant Deep Nets with Fourier Layers", NeurIPS 2023, and their code. Departures:
kernels are real, and the network for larger images works at odd sizes, where every frequency has its mirror image.
"""

import math
from collections.abc import Sequence

from torch import nn

from harmonic.errors import ZooError
from harmonic.layers import ShellActivation
from harmonic.pixels import PixelSpec
from harmonic.zoo.registry import register
from harmonic.zoo.scale_net import FourierNet, Residual, ScaleCnn, ScaleHead, Stage

MNIST = PixelSpec(height=28, width=28, mode="L", fit="spectral", smallest=8, mean=(0.0607,), std=(0.2161,))
STL10 = PixelSpec(
    height=97,
    width=97,
    fit="spectral",
    smallest=49,
    mean=(0.4467, 0.4398, 0.4066),
    std=(0.2603, 0.2566, 0.2713),
)


@register(
    "fourier_mnist",
    pixels=MNIST,
    listed=("fourier_mnist",),
    stand_in="fourier_mnist",
    stand_in_arguments={"widths": (3,), "hidden": 8},
)
def fourier_mnist(
    classes: int, widths: Sequence[int] = (32, 64, 100, 100), hidden: int = 256, dropout: float = 0.75
) -> nn.Module:
    """Scale-equivariant network for grey images of 8 to 28 pixels; one stage for each width."""
    _check(widths, hidden, dropout)
    inputs = (1, *widths[:-1])
    stages = [
        Stage(i, o, taps=5, grid=28, activation=ShellActivation(o, 6, 28)) for i, o in zip(inputs, widths, strict=True)
    ]
    head = ScaleHead(widths[-1], classes, first=8, step=1, keep=28, window=14, hidden=hidden, dropout=dropout)
    return FourierNet(stages, head, channels=1, shrink=1, largest=28)


@register(
    "fourier_small",
    pixels=MNIST,
    listed=("fourier_small",),
    stand_in="fourier_small",
    stand_in_arguments={"widths": (2,), "hidden": 4},
)
def fourier_small(
    classes: int, widths: Sequence[int] = (12, 24, 32, 32), hidden: int = 128, dropout: float = 0.25
) -> nn.Module:
    """A third of `fourier_mnist`'s width, for CPUs."""
    return fourier_mnist(classes, widths, hidden, dropout)


@register(
    "fourier_stl",
    pixels=STL10,
    listed=("fourier_stl",),
    stand_in="fourier_stl",
    stand_in_arguments={"widths": (2, 2), "hidden": 4},
)
def fourier_stl(
    classes: int, widths: Sequence[int] = (32, 128, 256, 512), hidden: int = 256, dropout: float = 0.75
) -> nn.Module:
    """Scale-equivariant network for colour images of 49 to 97 pixels.

    widths: channels of the projection, and of each block after it.
    """
    _check(widths, hidden, dropout)
    if not 2 <= len(widths) <= 4:
        raise ZooError(f"widths are of the projection and 1 to 3 blocks, not {list(widths)}.")
    stages: list[nn.Module] = [nn.Conv2d(3, widths[0], 1, bias=False), ShellActivation(widths[0], 41, 97, shells=4)]
    settings = ((64, 7, 41, 97, 4), (32, 5, 21, 49, 2), (16, 5, 11, 25, 1))[: len(widths) - 1]
    for index, (grid, taps, base, largest, shells) in enumerate(settings):
        outputs, pool = widths[index + 1], 1 if index == 2 else 2
        middle = ShellActivation(outputs, base, largest, shells=shells)
        last = ShellActivation(outputs, base, largest, shells=shells, pool=pool)  # type: ignore[arg-type]
        stages.append(Residual(widths[index], outputs, taps=taps, grid=grid, middle=middle, last=last))
    shrink = 2 ** min(len(settings), 2)
    keep = (97 + shrink - 1) // shrink
    first = 11 * 4 // shrink + (1 - 4 // shrink)
    head = ScaleHead(
        widths[-1],
        classes,
        first=first,
        step=8 // shrink,
        keep=keep,
        window=math.ceil(keep / 2),
        hidden=hidden,
        dropout=dropout,
    )
    return FourierNet(stages, head, channels=3, shrink=shrink, largest=97)


@register(
    "scale_cnn", pixels=MNIST, listed=("scale_cnn",), stand_in="scale_cnn", stand_in_arguments={"widths": (2, 3, 4, 4)}
)
def scale_cnn(classes: int, widths: Sequence[int] = (32, 64, 100, 100)) -> nn.Module:
    """Plain convolutions on the planes of `fourier_mnist`, to compare with."""
    _check(widths, 1, 0.0)
    return ScaleCnn(1, widths, classes)


def _check(widths: Sequence[int], hidden: int, dropout: float) -> None:
    if not widths or any(isinstance(w, bool) or not isinstance(w, int) or w < 1 for w in (*widths, hidden)):
        raise ZooError(f"widths and hidden are whole numbers from 1, not {list(widths)} and {hidden!r}.")
    if not 0 <= dropout < 1:
        raise ZooError(f"dropout is a probability below 1, not {dropout!r}.")
