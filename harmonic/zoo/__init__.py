"""Every architecture by name: `create("harm_wrn28_10", classes=10)`.

Importing this package registers the families; each has a file of its own.
"""

from harmonic.zoo import cifar_resnet, cifar_vgg, fourier, hamming, hubs, lesion, resnet, seresnext, vgg, wrn
from harmonic.zoo.listing import architecture_rows, architecture_tables
from harmonic.zoo.registry import Architecture, create, families, find, listed_names, native_pixels, register
from harmonic.zoo.scale_net import FourierNet, Stage

__all__ = [
    "Architecture",
    "FourierNet",
    "Stage",
    "architecture_rows",
    "architecture_tables",
    "cifar_resnet",
    "cifar_vgg",
    "create",
    "families",
    "find",
    "fourier",
    "hamming",
    "hubs",
    "lesion",
    "listed_names",
    "native_pixels",
    "register",
    "resnet",
    "seresnext",
    "vgg",
    "wrn",
]
