"""Wide residual networks for small images: plain, with a harmonic root, and fully harmonic.

Source: Ulicny, Krylov, Dahyot, BMVC 2019, section 4.1; Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016.
Two departures from the published code: BatchNorm's gamma starts at 1 (there: uniform in [0, 1)), and the final
pooling is
global, which is the same thing at the native size.
"""

from collections.abc import Callable, Sequence
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from harmonic.errors import ZooError
from harmonic.layers import BandNormConv2d, HarmonicConv2d
from harmonic.pixels import PixelSpec
from harmonic.zoo.registry import register

Level = int | None
ConvFactory = Callable[..., nn.Module]

CIFAR10 = PixelSpec(
    height=32,
    width=32,
    mean=(125.3 / 255, 123.0 / 255, 113.9 / 255),
    std=(63.0 / 255, 62.1 / 255, 66.7 / 255),
)
STL10 = CIFAR10.model_copy(update={"height": 96, "width": 96})
_ROOT_CHANNELS = 16
_plain3x3 = partial(nn.Conv2d, kernel_size=3, padding=1, bias=False)
_banded3x3 = partial(BandNormConv2d, kernel_size=3, padding=1, bias=False, init="fan_in")


def _harmonic3x3(level: Level) -> ConvFactory:
    return partial(HarmonicConv2d, kernel_size=3, padding=1, bias=False, init="fan_in", level=level)


def _harmonic_root(root: str) -> ConvFactory:
    if root not in ("norm", "linear"):
        raise ZooError(f"root is norm or linear, not {root!r}.")
    return _banded3x3 if root == "norm" else _harmonic3x3(None)


class Block(nn.Module):
    """Pre-activation residual block: norm, relu, 3x3, norm, relu, dropout, 3x3; the shortcut is a 1x1 where channels
    change."""

    def __init__(self, conv: ConvFactory, in_channels: int, out_channels: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm0 = nn.BatchNorm2d(in_channels)
        self.conv0 = conv(in_channels, out_channels, stride=stride)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv1 = conv(out_channels, out_channels)
        changes = in_channels != out_channels
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False) if changes else None

    def forward(self, x: Float[Tensor, "n in h w"]) -> Float[Tensor, "n out h2 w2"]:
        active = F.relu(self.norm0(x))
        y: Tensor = self.conv1(self.dropout(F.relu(self.norm1(self.conv0(active)))))
        return y + (x if self.shortcut is None else self.shortcut(active))


class WideResNet(nn.Module):
    """Root, three groups of blocks at strides 1, 2, 2, norm, relu, global mean, linear.

    root: makes the first 3x3 convolution; convs: makes those of each group. widths: output channels of each group.
    """

    def __init__(
        self,
        root: ConvFactory,
        convs: Sequence[ConvFactory],
        *,
        blocks: int,
        widths: Sequence[int],
        classes: int,
        dropout: float,
        root_stride: int,
    ) -> None:
        super().__init__()
        self.root = root(3, _ROOT_CHANNELS, stride=root_stride)
        groups, channels = [], _ROOT_CHANNELS
        for index, (conv, width) in enumerate(zip(convs, widths, strict=True)):
            strides = [1 if index == 0 else 2] + [1] * (blocks - 1)
            groups.append(
                nn.Sequential(
                    *(Block(conv, channels if n == 0 else width, width, s, dropout) for n, s in enumerate(strides))
                )
            )
            channels = width
        self.groups = nn.Sequential(*groups)
        self.norm = nn.BatchNorm2d(channels)
        self.head = nn.Linear(channels, classes)
        _initialise(self)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n classes"]:
        features = F.relu(self.norm(self.groups(self.root(x))))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


def _initialise(model: nn.Module) -> None:
    """Kaiming normal, fan_in, for what is not a spectral layer (those drew their own weights)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _build(
    depth: int,
    width: float,
    root: ConvFactory,
    convs: Sequence[ConvFactory],
    classes: int,
    dropout: float,
    root_stride: int,
) -> WideResNet:
    if depth < 10 or (depth - 4) % 6:
        raise ZooError(f"a wide ResNet's depth is 6n + 4: 10, 16, 22, 28, 34, 40, ..., not {depth}.")
    widths = [int(channels * width) for channels in (16, 32, 64)]
    if min(widths) < 1:
        raise ZooError(f"width {width} leaves no channels; use 1, 2, 10 or a fraction above 0.0625.")
    if not isinstance(dropout, float | int) or not 0 <= dropout < 1:
        raise ZooError(f"dropout is a probability below 1, not {dropout!r}.")
    if root_stride not in (1, 2):
        raise ZooError(f"root_stride is 1 (CIFAR, 32x32) or 2 (STL-10, 96x96), not {root_stride!r}.")
    return WideResNet(
        root, convs, blocks=(depth - 4) // 6, widths=widths, classes=classes, dropout=dropout, root_stride=root_stride
    )


def _levels(level: Level | Sequence[Level]) -> list[Level]:
    if level is None or isinstance(level, int):
        return [level] * 3
    if not isinstance(level, list | tuple) or len(level) != 3:
        raise ZooError(f"level is one value, or one for each of the 3 groups, not {level!r}.")
    return list(level)


@register(
    "wrn{depth}_{width}",
    pixels=CIFAR10,
    listed=("wrn16_8", "wrn28_6", "wrn28_8", "wrn28_10"),
    stand_in="wrn10_1",
    published={
        "wrn28_10": "C10 3.91, C100 18.75",
        "wrn28_8": "C10 4.01, C100 19.38",
        "wrn28_6": "C10 4.09, C100 20.17",
    },
)
def wrn(depth: int, width: float, classes: int, dropout: float = 0.0, root_stride: int = 1) -> nn.Module:
    """Wide ResNet with plain convolutions."""
    return _build(depth, width, _plain3x3, [_plain3x3] * 3, classes, dropout, root_stride)


@register(
    "harm1_wrn{depth}_{width}",
    pixels=CIFAR10,
    listed=("harm1_wrn28_10",),
    stand_in="harm1_wrn10_1",
    published={"harm1_wrn28_10": "C10 3.64, C100 18.57"},
)
def harm1_wrn(
    depth: int, width: float, classes: int, dropout: float = 0.0, root_stride: int = 1, root: str = "norm"
) -> nn.Module:
    """Wide ResNet whose first layer alone is harmonic; `root` is "norm" (between filters and weights) or "linear"."""
    return _build(depth, width, _harmonic_root(root), [_plain3x3] * 3, classes, dropout, root_stride)


@register(
    "harm_wrn{depth}_{width}",
    pixels=CIFAR10,
    listed=("harm_wrn16_2", "harm_wrn16_4", "harm_wrn16_8", "harm_wrn28_10"),
    stand_in="harm_wrn10_1",
    stand_in_arguments={"level": (None, 3, 2)},
    published={"harm_wrn28_10": "C10 3.86, C100 18.57"},
)
def harm_wrn(
    depth: int,
    width: float,
    classes: int,
    level: Level | Sequence[Level] = None,
    dropout: float = 0.0,
    root_stride: int = 1,
    root: str = "norm",
) -> nn.Module:
    """Wide ResNet with harmonic layers throughout; `level` is one value or one per group (32x32, 16x16, 8x8)."""
    convs = [_harmonic3x3(group_level) for group_level in _levels(level)]
    return _build(depth, width, _harmonic_root(root), convs, classes, dropout, root_stride)


@register(
    "stl10_wrn{depth}_{width}",
    pixels=STL10,
    listed=("stl10_wrn16_8",),
    stand_in="stl10_wrn10_1",
    published={"stl10_wrn16_8": "STL-10 12.71"},
)
def stl10_wrn(depth: int, width: float, classes: int, dropout: float = 0.0) -> nn.Module:
    """Wide ResNet for 96 x 96 images: the root has stride 2."""
    return wrn(depth, width, classes, dropout, root_stride=2)


@register(
    "stl10_harm_wrn{depth}_{width}",
    pixels=STL10,
    listed=("stl10_harm_wrn16_8",),
    stand_in="stl10_harm_wrn10_1",
    published={"stl10_harm_wrn16_8": "STL-10 9.55"},
)
def stl10_harm_wrn(
    depth: int,
    width: float,
    classes: int,
    level: Level | Sequence[Level] = None,
    dropout: float = 0.0,
    root: str = "norm",
) -> nn.Module:
    """Wide ResNet for 96 x 96 images with harmonic layers throughout: the root has stride 2."""
    return harm_wrn(depth, width, classes, level, dropout, root_stride=2, root=root)
