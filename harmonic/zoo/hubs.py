"""Any classifier of torchvision or timm by its name there: `torchvision/resnet50`, `timm/convnext_atto`.

With `spectrum`, the plan of every layer that `harmonic convert` wrote, they are built harmonic.
"""

from collections.abc import Callable
from typing import Any, Literal

import timm
import torchvision
from timm.data.imagenet_info import ImageNetInfo, infer_imagenet_subset
from torch import nn

from harmonic.data import each_once
from harmonic.errors import ZooError, first_line
from harmonic.near import near
from harmonic.pixels import PixelSpec
from harmonic.zoo import options as hub_options
from harmonic.zoo.registry import register
from harmonic.zoo.resnet import IMAGENET

WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")
_ASK = {"torchvision": "torchvision.models.list_models()", "timm": "timm.list_models()"}
_FILTERS: dict[str, Literal["bilinear", "bicubic", "lanczos"]] = {
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "lanczos": "lanczos",
}


def torchvision_names() -> list[str]:
    """The classifiers of torchvision."""
    return list(torchvision.models.list_models(module=torchvision.models))


def timm_names() -> list[str]:
    """The classifiers of timm, with and without the tags of their weights."""
    return [*timm.list_models(), *timm.list_pretrained()]


_NAMES: dict[str, Callable[[], list[str]]] = {"torchvision": torchvision_names, "timm": timm_names}


def _must_know(hub: str, name: str) -> None:
    """ZooError, with the nearest names, for a name that the hub does not have."""
    if not (name in torchvision_names() if hub == "torchvision" else _timm_knows(name)):
        raise ZooError(
            f"{hub} has no classifier {name!r}. {near(name, _NAMES[hub]())}Names of this version: {_ASK[hub]}."
        )


def _timm_knows(name: str) -> bool:
    """Whether there is such a network, and with such a tag where the name has one."""
    try:
        return bool(timm.is_model(name)) and (bool(timm.get_pretrained_cfg(name)) or "." not in name)
    except RuntimeError:
        return False


def torchvision_pixels(name: str) -> PixelSpec:
    """What torchvision's best weights of a network want to see; ImageNet's usual 224 pixels where there are none."""
    weights = _torchvision_weights(name)
    if weights is None:
        return IMAGENET
    transforms = weights.transforms()
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
    members=lambda: [f"torchvision/{name}" for name in torchvision_names()],
    listed=("torchvision/squeezenet1_0",),
    stand_in="torchvision/squeezenet1_1",
    stand_in_arguments={"spectrum": {"features.0": None, "features.3.expand3x3": 2}},
)
def torchvision_network(
    name: str, classes: int, options: dict[str, Any] | None = None, bare_head: bool = False
) -> nn.Module:
    """A classifier of torchvision; `options` go to its constructor.

    bare_head: without the ReLU behind its last layer, where it has one (`ends_in_relu`); answers may be negative then.
    """
    given = hub_options.checked(f"torchvision/{name}", options, hub_options.TORCHVISION)
    _must_know("torchvision", name)
    if name in (
        "googlenet",
        "inception_v3",
    ):  # their own initialisation takes minutes, and the auxiliary heads are unused
        given = {"init_weights": False, "aux_logits": False, **given}
    model: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **given)
    if not isinstance(bare_head, bool):
        raise ZooError(f"bare_head is true or false, not {bare_head!r}.")
    if bare_head:
        if not ends_in_relu(f"torchvision/{name}"):
            raise ZooError(f"torchvision/{name} has no ReLU behind its last layer; leave bare_head out.")
        head: Any = model.classifier
        head[-2] = nn.Identity()
    return model


@register(
    "timm/{name}",
    pixels=IMAGENET,
    native=timm_pixels,
    members=lambda: [f"timm/{name}" for name in timm_names()],
    listed=("timm/convnext_atto",),
    stand_in="timm/test_efficientnet",
    stand_in_arguments={"spectrum": {"conv_stem": 3}},
)
def timm_network(name: str, classes: int, options: dict[str, Any] | None = None) -> nn.Module:
    """A classifier of timm; `options` go to its constructor."""
    given = hub_options.checked(f"timm/{name}", options, hub_options.TIMM)
    _must_know("timm", name)
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, **given)
    return model


def ends_in_relu(architecture: str) -> bool:
    """Whether a ReLU stands behind the last layer, which a new head does without: `bare_head`."""
    return architecture.startswith("torchvision/squeezenet")


def pretrained(architecture: str) -> tuple[nn.Module, dict[str, Any]]:
    """A hub's network with the hub's best weights, and the options that build it.

    Downloads. Raises ZooError for a name that the hub does not have, or has no weights for, and where the download
    fails.
    """
    hub, _, name = architecture.partition("/")
    _must_know(hub, name)
    _must_have_weights(hub, name)
    try:
        if hub == "timm":
            return timm.create_model(name, pretrained=True), {}
        given = torchvision.models.get_model(name, weights="DEFAULT")
    except (OSError, RuntimeError, ValueError) as error:
        reason = first_line(error)[:200]
        raise ZooError(
            f"the weights of {architecture} could not be had ({reason}). "
            "Without a network connection, give a local file: --weights FILE."
        ) from error
    options = {"transform_input": True} if name in WITH_AUXILIARY_HEADS else {}
    if options:
        given.aux_logits, given.AuxLogits, given.aux1, given.aux2 = False, None, None, None
    return given, options


def class_names(architecture: str, count: int) -> tuple[str, ...] | None:
    """What a hub calls the classes of a network with so many; None where it does not say, or for other networks."""
    hub, _, name = architecture.partition("/")
    known: list[str] = []
    if hub == "torchvision":
        known = _torchvision_weights(name).meta["categories"] if _torchvision_weights(name) else []
    elif hub == "timm":
        known = _timm_class_names(name)
    return each_once(tuple(known)) if len(known) == count else None


def _must_have_weights(hub: str, name: str) -> None:
    """ZooError where the hub has the network but no weights of it."""
    found = timm.is_model_pretrained(name) if hub == "timm" else _torchvision_weights(name) is not None
    if not found:
        raise ZooError(f"{hub} has no weights of {name}. Give a file: --weights FILE.")


def _torchvision_weights(name: str) -> Any:
    """torchvision's best weights of a network; None where there are none."""
    try:
        return torchvision.models.get_model_weights(name).DEFAULT
    except (ValueError, AttributeError):
        return None


def _timm_class_names(name: str) -> list[str]:
    """Labels of the weights' card; else those of the ImageNet of that many classes, the first of each class's names."""
    config = timm.get_pretrained_cfg(name)
    if config is None:
        return []
    if config.label_names:
        return list(config.label_names)
    subset = infer_imagenet_subset({"num_classes": config.num_classes})
    if subset is None:
        return []
    info: Any = ImageNetInfo(subset)
    return [info.index_to_description(place).split(",")[0].strip() for place in range(info.num_classes())]
