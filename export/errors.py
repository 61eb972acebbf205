"""The error tree of the export package.

ExportError
├── FoldError        a layer that has no exact plain form
├── ParityError      the exported graph does not give PyTorch's answers
├── ManifestError    a manifest that cannot be read or contradicts its files
└── RepositoryError  a model repository that is missing, or a version that exists already
    └── StoreError   a store that holds something impossible, or cannot be used as it was asked for
        └── StoreAwayError  a store that gives no answer now
"""

from harmonic.errors import HarmonicError


class ExportError(HarmonicError):
    """What every error of this package is."""


class FoldError(ExportError):
    """A layer that has no exact plain form."""


class ParityError(ExportError):
    """The exported graph does not give PyTorch's answers."""


class ManifestError(ExportError):
    """A manifest that cannot be read or contradicts its files."""


class RepositoryError(ExportError):
    """A model repository that is missing, or a version that exists already."""


class StoreError(RepositoryError):
    """A store that holds something impossible, or cannot be used as it was asked for."""


class StoreAwayError(StoreError):
    """A store that gives no answer now."""
