"""Any classifier of torchvision or timm by its name there: `torchvision/resnet50`, `timm/convnext_atto`.

With `spectrum`, the plan of every layer that `harmonic convert` wrote, they are built harmonic.
"""

from typing import Any, Literal

import timm
import torchvision
from torch import nn

from harmonic.errors import ZooError
from harmonic.pixels import PixelSpec
from harmonic.zoo.registry import register
from harmonic.zoo.resnet import IMAGENET

WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")
_FILTERS: dict[str, Literal["bilinear", "bicubic", "lanczos"]] = {
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "lanczos": "lanczos",
}


def torchvision_pixels(name: str) -> PixelSpec:
    """What torchvision's best weights of a network want to see; ImageNet's usual 224 pixels where there are none."""
    try:
        transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    except (ValueError, AttributeError):
        return IMAGENET
    (crop,), (resize,) = transforms.crop_size, transforms.resize_size
    return PixelSpec(
        height=crop,
        width=crop,
        crop_fraction=crop / resize,
        interpolation=_FILTERS.get(transforms.interpolation.value, "bilinear"),
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


def timm_pixels(name: str) -> PixelSpec:
    """What timm's weights of a network want to see."""
    config = timm.get_pretrained_cfg(name)
    if config is None:
        return IMAGENET
    _, height, width = config.input_size
    return PixelSpec(
        height=height,
        width=width,
        fit="squash" if config.crop_mode == "squash" else "crop",
        crop_fraction=config.crop_pct,
        interpolation=_FILTERS.get(config.interpolation, "bilinear"),
        mean=tuple(config.mean),
        std=tuple(config.std),
    )


@register(
    "torchvision/{name}",
    pixels=IMAGENET,
    native=torchvision_pixels,
    listed=("torchvision/squeezenet1_0",),
    stand_in="torchvision/squeezenet1_1",
    stand_in_arguments={"spectrum": {"features.0": None, "features.3.expand3x3": 2}},
)
def torchvision_network(name: str, classes: int, options: dict[str, Any] | None = None) -> nn.Module:
    """A classifier of torchvision; `options` go to its constructor."""
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise ZooError(f"torchvision has no classifier {name!r}. Its names: pytorch.org/vision/stable/models.html.")
    if name in (
        "googlenet",
        "inception_v3",
    ):  # their own initialisation takes minutes, and the auxiliary heads are unused
        options = {"init_weights": False, "aux_logits": False, **(options or {})}
    model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **(options or {}))
    return model


@register(
    "timm/{name}",
    pixels=IMAGENET,
    native=timm_pixels,
    listed=("timm/convnext_atto",),
    stand_in="timm/test_efficientnet",
    stand_in_arguments={"spectrum": {"conv_stem": 3}},
)
def timm_network(name: str, classes: int, options: dict[str, Any] | None = None) -> nn.Module:
    """A classifier of timm; `options` go to its constructor."""
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_', maxsplit=1)[0]}*")[:5]
        raise ZooError(f"timm has no classifier {name!r}. Near: {', '.join(near) or 'none'}.")
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, **(options or {}))
    return model


def pretrained(architecture: str) -> tuple[nn.Module, dict[str, Any], tuple[str, ...] | None]:
    """A hub's network with the hub's best weights, the options that build it, and its classes' names if the hub knows.

    Downloads. Raises ZooError where there are no weights, or no network connection.
    """
    hub, _, name = architecture.partition("/")
    try:
        if hub == "timm":
            return timm.create_model(name, pretrained=True), {}, None
        weights = torchvision.models.get_model_weights(name).DEFAULT
        given = torchvision.models.get_model(name, weights=weights)
    except (OSError, RuntimeError, ValueError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise ZooError(
            f"the weights of {architecture} could not be had ({reason}). "
            "Without a network connection, give a local file: --weights FILE."
        ) from error
    options = {"transform_input": True} if name in WITH_AUXILIARY_HEADS else {}
    if options:
        given.aux_logits, given.AuxLogits, given.aux1, given.aux2 = False, None, None, None
    return given, options, tuple(weights.meta["categories"])
