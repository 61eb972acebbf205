"""What a spectral layer is, and which kinds there are: all that tracing, conversion, folding and export know of one.

A new kind is one file: a class with the members of `SpectralLayer`, and `@spectral_layer` above it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import TypeIs

from harmonic.errors import SpectrumError

Kind = TypeVar("Kind", bound=type[nn.Module])


@runtime_checkable
class SpectralLayer(Protocol):
    """A layer that is exactly a plain convolution in evaluation. kernel_size: (rows, columns)."""

    @property
    def in_channels(self) -> int: ...
    @property
    def out_channels(self) -> int: ...
    @property
    def kernel_size(self) -> tuple[int, ...]: ...
    @property
    def groups(self) -> int: ...

    def as_conv2d(self) -> nn.Conv2d:
        """The equivalent convolution in evaluation, borders included: a new module; this one is unchanged."""


@runtime_checkable
class WithSpectrum(SpectralLayer, Protocol):
    """A spectral layer that weighs the orthogonal filters of a bank. frequencies: (u, v) of each, u along rows.

    bank_kind: what the bank is called. level: filters with u + v < level are kept; None is all.
    """

    @property
    def frequencies(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def bank(self) -> Float[Tensor, "freq rows columns"]: ...
    @property
    def bank_kind(self) -> str: ...
    @property
    def level(self) -> int | None: ...

    def coefficients(self) -> Float[Tensor, "out in_ freq"]:
        """Learned weight of every filter; `in_` counts the input channels of one group."""


_KINDS: dict[type[nn.Module], Mapping[str, Any]] = {}


def spectral_layer(**stand_in: Any) -> Callable[[Kind], Kind]:
    """Register the decorated class: tracing, feature maps, spectra, folding and export then know its layers.

    stand_in: arguments of a small layer, with which tests hold every kind to the laws of spectral layers.
    Raises SpectrumError for a class that is no module or has no `as_conv2d`.
    """

    def register(kind: Kind) -> Kind:
        if not issubclass(kind, nn.Module) or not callable(getattr(kind, "as_conv2d", None)):
            raise SpectrumError(f"{kind.__name__} is no spectral layer: that is an nn.Module with as_conv2d().")
        _KINDS[kind] = stand_in
        return kind

    return register


def spectral_kinds() -> tuple[type[nn.Module], ...]:
    """Every registered class, in order of registration."""
    return tuple(_KINDS)


def stand_in(kind: type[nn.Module]) -> nn.Module:
    """A small layer of a registered class."""
    return kind(**_KINDS[kind])


def is_spectral(layer: object) -> TypeIs[SpectralLayer]:
    """Whether a layer is of a registered class, or of one that inherits from it."""
    return isinstance(layer, spectral_kinds())


def has_spectrum(layer: object) -> TypeIs[WithSpectrum]:
    """Whether a layer is spectral and weighs the filters of a bank."""
    return is_spectral(layer) and isinstance(layer, WithSpectrum)


def is_convolution(layer: object) -> TypeIs[nn.Conv2d | SpectralLayer]:
    """Whether a layer is a convolution over rows and columns, plain or spectral."""
    return isinstance(layer, nn.Conv2d) or is_spectral(layer)


def whole_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The network's modules by name, as `named_modules`, without the parts of which spectral layers are made."""
    within: str | None = None
    for name, layer in model.named_modules():
        if within is not None and name.startswith(within):
            continue
        yield name, layer
        if is_spectral(layer):
            within = f"{name}." if name else ""
