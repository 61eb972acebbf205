"""Harmonic networks: image classifiers whose spatial filters are learned combinations of fixed spectral ones.

Importing this package loads nothing heavy: the names below are fetched when first used, so that serving never loads
torch.

    >>> import harmonic
    >>> model = harmonic.create("harm_wrn16_2", classes=10)
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Backbone": "harmonic.graph.backbone",
    "BandNormConv2d": "harmonic.layers",
    "Bundle": "harmonic.bundles.bundle",
    "HammingConv2d": "harmonic.layers",
    "HarmonicConv2d": "harmonic.layers",
    "PixelSpec": "harmonic.pixels",
    "create": "harmonic.zoo",
    "dct_bank": "harmonic.layers",
    "features_only": "harmonic.graph.backbone",
    "harmonise": "harmonic.conversion",
    "import_reference": "harmonic.bundles",
    "load": "harmonic.bundles.bundle",
}

__all__ = [
    "Backbone",
    "BandNormConv2d",
    "Bundle",
    "HammingConv2d",
    "HarmonicConv2d",
    "PixelSpec",
    "__version__",
    "create",
    "dct_bank",
    "features_only",
    "harmonise",
    "import_reference",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'harmonic' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
