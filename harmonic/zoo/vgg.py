"""VGG networks, plain and harmonic, with and without batch norms, on torchvision's networks.

Source: Ulicny, Krylov, Dahyot, "Harmonic Convolutional Networks based on DCT", Pattern Recognition 129, 2022;
Simonyan, Zisserman, "Very Deep Convolutional Networks", 2015.
"""

from typing import get_args

import torch
import torchvision
from torch import nn

from harmonic.conversion import LayerPlan, apply, harmonic_layers, spatial_layers
from harmonic.errors import ZooError
from harmonic.layers import Init
from harmonic.zoo.registry import register
from harmonic.zoo.resnet import IMAGENET, Root, root_plan

DEPTHS = (11, 13, 16, 19)


def _plain(depth: int, norms: bool, classes: int, hidden: int, dropout: float) -> nn.Module:
    if depth not in DEPTHS:
        raise ZooError(f"a VGG's depth is one of {', '.join(map(str, DEPTHS))}, not {depth}.")
    if hidden < 1:
        raise ZooError(f"hidden is the width of the classifier's two layers, at least 1, not {hidden}.")
    device = torch.get_default_device()
    with torch.device("meta"):  # 120 million weights are not drawn twice
        model: nn.Module = torchvision.models.get_model(
            f"vgg{depth}{'_bn' if norms else ''}", weights=None, num_classes=classes, dropout=dropout
        )
        for index, sizes in ((0, (512 * 7 * 7, hidden)), (3, (hidden, hidden)), (6, (hidden, classes))):
            model.get_submodule("classifier").register_module(str(index), nn.Linear(*sizes))
    return _initialised(model.to_empty(device=device))


def _initialised(model: nn.Module) -> nn.Module:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return model


def _harmonic(model: nn.Module, root: str, init: Init) -> nn.Module:
    if init not in get_args(Init):
        raise ZooError(f"init is one of {', '.join(get_args(Init))}, not {init!r}.")
    first, plan = next(iter(spatial_layers(model))), root_plan(root)
    plans = dict.fromkeys(spatial_layers(model), LayerPlan())
    if plan is None:
        plans.pop(first)
    made = apply(model, plans | ({first: plan} if plan else {}), projected=False)
    for layer in harmonic_layers(made).values():
        layer.init = init
        layer.reset_parameters()
    return made


@register("vgg{depth}", pixels=IMAGENET, listed=("vgg16",), stand_in="vgg11", stand_in_arguments={"hidden": 8})
def vgg(depth: int, classes: int, hidden: int = 4096, dropout: float = 0.5) -> nn.Module:
    """VGG with plain convolutions."""
    return _plain(depth, False, classes, hidden, dropout)


@register(
    "vgg{depth}_bn",
    pixels=IMAGENET,
    listed=("vgg16_bn",),
    stand_in="vgg11_bn",
    stand_in_arguments={"hidden": 8},
    published={"vgg16_bn": "26.33 / 8.26"},
)
def vgg_bn(depth: int, classes: int, hidden: int = 4096, dropout: float = 0.5) -> nn.Module:
    """VGG with plain convolutions and batch norms."""
    return _plain(depth, True, classes, hidden, dropout)


@register(
    "harm_vgg{depth}",
    pixels=IMAGENET,
    listed=tuple(f"harm_vgg{depth}" for depth in DEPTHS),
    stand_in="harm_vgg11",
    stand_in_arguments={"hidden": 8},
)
def harm_vgg(
    depth: int, classes: int, hidden: int = 4096, dropout: float = 0.5, root: Root = "norm", init: Init = "fan_out"
) -> nn.Module:
    """VGG with harmonic layers throughout."""
    return _harmonic(_plain(depth, False, classes, hidden, dropout), root, init)


@register(
    "harm_vgg{depth}_bn",
    pixels=IMAGENET,
    listed=tuple(f"harm_vgg{depth}_bn" for depth in DEPTHS),
    stand_in="harm_vgg11_bn",
    stand_in_arguments={"hidden": 8},
    published={"harm_vgg16_bn": "25.55 / 8.01"},
)
def harm_vgg_bn(
    depth: int, classes: int, hidden: int = 4096, dropout: float = 0.5, root: Root = "norm", init: Init = "fan_out"
) -> nn.Module:
    """VGG with harmonic layers throughout and batch norms."""
    return _harmonic(_plain(depth, True, classes, hidden, dropout), root, init)
