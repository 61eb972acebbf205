"""ImageNet ResNets, plain and harmonic, on torchvision's networks.

Three roots: stride 4 without a pool, or stride 2 with an average or maximum pool; all three bring 224 pixels to 56.
Source: Ulicny, Krylov, Dahyot, BMVC 2019, section 4.2; He et al., "Deep Residual Learning for Image Recognition", 2016.
"""

from collections.abc import Sequence
from typing import Literal

import torchvision
from torch import nn

from harmonic.conversion import LayerPlan, Level, apply, spatial_layers
from harmonic.errors import ZooError
from harmonic.pixels import PixelSpec
from harmonic.zoo.registry import register

Pool = Literal["none", "avg", "max"]
Root = Literal["norm", "linear", "plain"]

IMAGENET = PixelSpec(height=224, width=224, crop_fraction=0.875)
DEPTHS = (18, 34, 50, 101, 152)


def set_root(model: nn.Module, pool: str) -> None:
    """Give a ResNet of torchvision or timm one of the three roots."""
    pools = {"none": nn.Identity(), "avg": nn.AvgPool2d(3, 2, 1), "max": nn.MaxPool2d(3, 2, 1)}
    if pool not in pools:
        raise ZooError(f"pool is one of {', '.join(pools)}, not {pool!r}.")
    stride = 4 if pool == "none" else 2
    conv = nn.Conv2d(3, 64, 7, stride=stride, padding=3, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    model.conv1, model.maxpool = conv, pools[pool]


def levels_of_stages(level: Level | Sequence[Level], stages: int) -> list[Level]:
    """One level for each stage; ZooError unless there is one value or one for each."""
    if level is None or isinstance(level, int):
        return [level] * stages
    if isinstance(level, str) or len(level) != stages:
        raise ZooError(f"level is one value, or one for each of the {stages} stages, not {level!r}.")
    return list(level)


def root_plan(root: str) -> LayerPlan | None:
    """How the root becomes harmonic; None leaves it plain."""
    plans = {"norm": LayerPlan(norm=True), "linear": LayerPlan(), "plain": None}
    if root not in plans:
        raise ZooError(f"root is one of {', '.join(plans)}, not {root!r}.")
    return plans[root]


def _plain(depth: int, classes: int, pool: str) -> nn.Module:
    if depth not in DEPTHS:
        raise ZooError(f"a ResNet's depth is one of {', '.join(map(str, DEPTHS))}, not {depth}.")
    model: nn.Module = torchvision.models.get_model(f"resnet{depth}", weights=None, num_classes=classes)
    set_root(model, pool)
    return model


@register(
    "resnet{depth}",
    pixels=IMAGENET,
    listed=tuple(f"resnet{depth}" for depth in DEPTHS),
    stand_in="resnet18",
    published={"resnet50": "23.81 / 6.98", "resnet101": "22.63 / 6.44 (max pool)"},
)
def resnet(depth: int, classes: int, pool: Pool = "none") -> nn.Module:
    """ResNet with plain convolutions."""
    return _plain(depth, classes, pool)


@register(
    "harm1_resnet{depth}",
    pixels=IMAGENET,
    listed=tuple(f"harm1_resnet{depth}" for depth in DEPTHS),
    stand_in="harm1_resnet18",
    published={"harm1_resnet50": "22.97 / 6.48"},
)
def harm1_resnet(depth: int, classes: int, pool: Pool = "none", root: Root = "norm") -> nn.Module:
    """ResNet whose first layer alone is harmonic."""
    model, plan = _plain(depth, classes, pool), root_plan(root)
    return apply(model, {"conv1": plan}, projected=False) if plan else model


@register(
    "harm_resnet{depth}",
    pixels=IMAGENET,
    listed=tuple(f"harm_resnet{depth}" for depth in DEPTHS),
    stand_in="harm_resnet18",
    stand_in_arguments={"level": (None, None, 3, 2)},
    published={"harm_resnet50": "23.11 / 6.63", "harm_resnet101": "21.48 / 5.75"},
)
def harm_resnet(
    depth: int, classes: int, level: Level | Sequence[Level] = None, pool: Pool = "none", root: Root = "norm"
) -> nn.Module:
    """ResNet with harmonic layers throughout; `level` is one value or one for each of the four stages."""
    model, first = _plain(depth, classes, pool), root_plan(root)
    plans = {"conv1": first} if first else {}
    for stage, stage_level in enumerate(levels_of_stages(level, 4), start=1):
        names = [name for name in spatial_layers(model) if name.startswith(f"layer{stage}.")]
        plans |= dict.fromkeys(names, LayerPlan(stage_level))
    return apply(model, plans, projected=False)
