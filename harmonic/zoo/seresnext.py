"""Squeeze-and-excitation ResNeXts, plain and harmonic, on timm's network.

The two published harmonic ones differ at the root: 32x4d has stride 2 and a maximum pool, 64x4d stride 4 and no pool.
Source: Ulicny, Krylov, Dahyot, "Harmonic Convolutional Networks based on DCT", Pattern Recognition 129, 2022; Hu, Shen,
Sun, "Squeeze-and-Excitation Networks", 2018.
"""

from collections.abc import Sequence
from typing import Any, cast

from timm.layers.drop import DropPath
from timm.models.resnet import Bottleneck, ResNet
from torch import nn

from harmonic.conversion import LayerPlan, Level, apply, spatial_layers
from harmonic.errors import ZooError
from harmonic.zoo.registry import register
from harmonic.zoo.resnet import IMAGENET, Pool, Root, levels_of_stages, root_plan, set_root

_BLOCKS = {14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def _plain(depth: int, cardinality: int, base: int, classes: int, pool: Pool | None, drop_connect: float) -> nn.Module:
    if depth not in _BLOCKS:
        raise ZooError(f"an SE-ResNeXt's depth is one of {', '.join(map(str, _BLOCKS))}, not {depth}.")
    if cardinality < 1 or base < 1:
        raise ZooError(f"cardinality and base width are at least 1, not {cardinality} and {base}.")
    if not 0 <= drop_connect < 1:
        raise ZooError(f"drop_connect is a probability below 1, not {drop_connect}.")
    model: nn.Module = ResNet(
        cast(Any, Bottleneck),  # timm's hint asks for a block where it takes the block's class
        _BLOCKS[depth],
        num_classes=classes,
        cardinality=cardinality,
        base_width=base,
        avg_down=True,
        block_args={"attn_layer": "se"},
        drop_path_rate=drop_connect,
    )
    _set_drop_connect(model, drop_connect)
    set_root(model, pool or ("none" if cardinality == 64 else "max"))
    return model


def _set_drop_connect(model: nn.Module, rate: float) -> None:
    """The published rule: block i of n drops with rate * i / n."""
    blocks = [block for block in model.modules() if isinstance(block, Bottleneck)]
    for index, block in enumerate(blocks):
        if isinstance(block.drop_path, DropPath):
            block.drop_path.drop_prob = rate * index / len(blocks)


@register(
    "se_resnext{depth}_{cardinality}x{base}d",
    pixels=IMAGENET,
    listed=("se_resnext101_32x4d",),
    stand_in="se_resnext14_8x4d",
    published={"se_resnext101_32x4d": "19.81 / 4.90"},
)
def se_resnext(
    depth: int, cardinality: int, base: int, classes: int, pool: Pool | None = None, drop_connect: float = 0.0
) -> nn.Module:
    """SE-ResNeXt with plain convolutions; `pool` None takes the published root."""
    return _plain(depth, cardinality, base, classes, pool, drop_connect)


@register(
    "harm_se_resnext{depth}_{cardinality}x{base}d",
    pixels=IMAGENET,
    listed=("harm_se_resnext101_32x4d", "harm_se_resnext101_64x4d"),
    stand_in="harm_se_resnext14_8x4d",
    published={"harm_se_resnext101_32x4d": "19.55 / 4.79", "harm_se_resnext101_64x4d": "18.36 / 4.37"},
)
def harm_se_resnext(
    depth: int,
    cardinality: int,
    base: int,
    classes: int,
    level: Level | Sequence[Level] = None,
    pool: Pool | None = None,
    root: Root = "norm",
    drop_connect: float = 0.0,
) -> nn.Module:
    """SE-ResNeXt with harmonic layers throughout; `pool` None takes the published root."""
    model, first = _plain(depth, cardinality, base, classes, pool, drop_connect), root_plan(root)
    plans = {"conv1": first} if first else {}
    for stage, stage_level in enumerate(levels_of_stages(level, 4), start=1):
        names = [name for name in spatial_layers(model) if name.startswith(f"layer{stage}.")]
        plans |= dict.fromkeys(names, LayerPlan(stage_level))
    return apply(model, plans, projected=False)
