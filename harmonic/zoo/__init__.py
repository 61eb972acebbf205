"""Every architecture by name: `create("harm_wrn28_10", classes=10)`.

Importing this package registers the families; each has a file of its own.
"""

from harmonic.zoo import hamming, lesion, wrn
from harmonic.zoo.registry import Architecture, create, families, find, listed_names

__all__ = ["Architecture", "create", "families", "find", "hamming", "lesion", "listed_names", "wrn"]
