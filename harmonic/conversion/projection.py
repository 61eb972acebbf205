"""From kernels to coefficients and between levels: the arithmetic of conversion. Pure functions of tensors and layers.

The filters of a bank are orthogonal, so each coefficient stands alone: dropping frequencies from the full band is
already the least-squares fit of the smaller bank.
Source: Ulicny, Krylov, Dahyot, "Harmonic Networks for Image Classification", BMVC 2019, section 3.3.
"""

from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from harmonic.errors import SpectrumError
from harmonic.layers import BandNormConv2d, BandSet, BandSetConv2d, Bank, HarmonicConv2d, SpectralConv2d, synthesise

Layer = TypeVar("Layer", bound=SpectralConv2d)


def project(
    kernel: Float[Tensor, "out in_ rows columns"], bank: Float[Tensor, "freq rows columns"]
) -> Float[Tensor, "out in_ freq"]:
    """Least-squares coefficients of kernels in a bank, in float64.

    For orthogonal filters they are <kernel, psi> / |psi|^2. Solving with the Gram matrix gives the same without the
    rounding of a float32 bank, so that the full band gives a float64 kernel back to float64 precision.
    """
    filters = bank.double().flatten(1)
    products = kernel.double().flatten(0, 1).flatten(1) @ filters.T
    solved: Tensor = torch.linalg.solve(filters @ filters.T, products.T)
    return solved.T.reshape(*kernel.shape[:2], len(filters))


def energy_kept(kernel: Float[Tensor, "out in_ rows columns"], bank: Float[Tensor, "freq rows columns"]) -> float:
    """Share of a kernel's squared norm that a bank can express, 0 to 1; 1 for a kernel of zeros."""
    total = kernel.double().square().sum()
    if not total:
        return 1.0
    kept = synthesise(project(kernel, bank), bank.double()).square().sum()
    return min(float(kept / total), 1.0)


def harmonic_from(
    plain: nn.Conv2d, *, level: int | None = None, bank: Bank = "dct", projected: bool = True
) -> HarmonicConv2d:
    """A harmonic layer in the place of a plain convolution, on its device and in its dtype and mode.

    level, bank: as `filter_bank`. projected: False leaves the layer's own random weights, for networks still to be
    trained.
    """
    layer = HarmonicConv2d(*_geometry(plain), **_options(plain, level), bank=bank)
    layer = layer.to(device=plain.weight.device, dtype=plain.weight.dtype)
    if projected and not plain.weight.is_meta:
        _fill(layer.weight, project(plain.weight.detach(), layer.bank))
        if plain.bias is not None and layer.bias is not None:
            _fill(layer.bias, plain.bias.detach())
    return _like(plain, layer)


def band_normed_from(
    plain: nn.Conv2d,
    *,
    level: int | None = None,
    bank: Bank = "dct",
    bias: bool | None = None,
    projected: bool = True,
) -> BandNormConv2d:
    """A band-norm layer in the place of a plain convolution; its norm starts as the identity, so answers are kept.

    bias: None keeps the convolution's; True adds one where there was none (`normalise_bands` needs it).
    """
    options = {**_options(plain, level), **({} if bias is None else {"bias": bias})}
    layer = BandNormConv2d(*_geometry(plain), **options, bank=bank)
    layer = layer.to(device=plain.weight.device, dtype=plain.weight.dtype)
    if projected and not plain.weight.is_meta:
        _fill(layer.weight, project(plain.weight.detach(), layer.bank))
        if plain.bias is not None and layer.bias is not None:
            _fill(layer.bias, plain.bias.detach())
        identity_statistics(layer)
    return _like(plain, layer)


def identity_statistics(layer: BandNormConv2d) -> None:
    """Make the inner norm do nothing in evaluation: mean 0, variance 1 - eps."""
    mean, var = _statistics(layer)
    mean.zero_()
    var.fill_(1 - layer.norm.eps)


def normalise_bands(layer: BandNormConv2d, mean: Float[Tensor, " bands"], var: Float[Tensor, " bands"]) -> None:
    """Give an inner norm new statistics and compensate weights and bias, so that the answers in evaluation stay.

    With w, b the weights and bias of the layer under identity statistics: w' = w sqrt(var + eps), b' = b + sum w mean.
    Raises SpectrumError for a layer without a bias, unless the mean is zero.
    """
    if layer.bias is None and bool(mean.any()):
        raise SpectrumError("a band norm with measured statistics needs a bias to keep the answers; give it one.")
    running_mean, running_var = _statistics(layer)
    shape = (layer.groups, 1, layer.in_channels // layer.groups * len(layer.frequencies))
    with torch.no_grad():
        old_scale = torch.rsqrt(running_var.double() + layer.norm.eps).view(shape)
        raw = layer.weight.double().view(layer.groups, -1, shape[2]) * old_scale
        shift = (raw * (mean.double() - running_mean.double()).view(shape)).sum(dim=2).flatten()
        scaled = raw * torch.sqrt(var.double() + layer.norm.eps).view(shape)
        layer.weight.copy_(scaled.view_as(layer.weight))
        if layer.bias is not None:
            layer.bias.add_(shift.to(layer.bias.dtype))
        running_mean.copy_(mean)
        running_var.copy_(var)


def relevelled(layer: SpectralConv2d, level: int | None, *, projected: bool = True) -> SpectralConv2d:
    """A new layer at another level: frequencies that both have keep their coefficients, new ones start at zero.

    A layer of a set of bands becomes one of whole frequencies again.
    """
    kind = HarmonicConv2d if isinstance(layer, BandSetConv2d) else type(layer)
    new = kind(*_geometry(layer), **_options(layer, level), bank=layer.bank_kind)
    new = new.to(device=layer.weight.device, dtype=layer.weight.dtype)
    if projected and not layer.weight.is_meta:
        shared = [
            (new.frequencies.index(pair), i) for i, pair in enumerate(layer.frequencies) if pair in new.frequencies
        ]
        into, out_of = ([pair[side] for pair in shared] for side in (0, 1))
        coefficients = torch.zeros_like(new.coefficients())
        coefficients[..., into] = layer.coefficients().detach()[..., out_of]
        _fill(new.weight, coefficients)
        if layer.bias is not None and new.bias is not None:
            _fill(new.bias, layer.bias.detach())
        if isinstance(layer, BandNormConv2d) and isinstance(new, BandNormConv2d):
            _carry_statistics(layer, new, into, out_of)
    return _like(layer, new)


def with_bands(layer: SpectralConv2d, kept: BandSet, *, projected: bool = True) -> BandSetConv2d:
    """A new layer that weighs these bands of another alone, with the coefficients that they had there.

    Raises SpectrumError for a set of another number of bands, and for a layer with an inner norm, whose statistics are
    of whole frequencies.
    """
    if not isinstance(layer, HarmonicConv2d):
        raise SpectrumError("a layer with an inner norm keeps whole frequencies: give it a level, and no set of bands.")
    new = BandSetConv2d(*_geometry(layer), kept=kept, **_options(layer, layer.level), bank=layer.bank_kind)
    new = new.to(device=layer.weight.device, dtype=layer.weight.dtype)
    if projected and not layer.weight.is_meta:
        _fill(new.weight, layer.coefficients().detach().flatten(1)[:, list(kept.numbers)])
        if layer.bias is not None and new.bias is not None:
            _fill(new.bias, layer.bias.detach())
    return _like(layer, new)


def in_bank(layer: Layer, bank: Bank) -> Layer:
    """A new layer with the same coefficients of another bank's filters: another function, to be trained."""
    kept = {"kept": layer.kept} if isinstance(layer, BandSetConv2d) else {}
    new = type(layer)(*_geometry(layer), **(_options(layer, layer.level) | kept), bank=bank)
    new = new.to(device=layer.weight.device, dtype=layer.weight.dtype)
    new.load_state_dict(layer.state_dict())
    return _like(layer, new)


def _carry_statistics(old: BandNormConv2d, new: BandNormConv2d, into: list[int], out_of: list[int]) -> None:
    # A dropped band took its mean's constant share with it, exactly as a dropped coefficient does.
    identity_statistics(new)
    for target, source in zip(_statistics(new), _statistics(old), strict=True):
        target.view(new.in_channels, -1)[:, into] = source.view(old.in_channels, -1)[:, out_of]


def _statistics(layer: BandNormConv2d) -> tuple[Tensor, Tensor]:
    mean, var = layer.norm.running_mean, layer.norm.running_var
    if mean is None or var is None:
        raise SpectrumError("this band norm keeps no running statistics; it cannot be converted.")
    return mean, var


def _geometry(layer: nn.Conv2d | SpectralConv2d) -> tuple[Any, ...]:
    return layer.in_channels, layer.out_channels, tuple(layer.kernel_size)


def _options(layer: nn.Conv2d | SpectralConv2d, level: int | None) -> dict[str, Any]:
    return {
        "stride": layer.stride,
        "padding": layer.padding,
        "dilation": layer.dilation,
        "groups": layer.groups,
        "bias": layer.bias is not None,
        "padding_mode": layer.padding_mode,
        "level": level,
        **({"dc": layer.dc, "norm": layer.bank_norm, "init": layer.init} if isinstance(layer, SpectralConv2d) else {}),
    }


def _fill(parameter: Tensor, values: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(values.reshape(parameter.shape))


def _like(old: nn.Conv2d | SpectralConv2d, new: Layer) -> Layer:
    """Take over the training mode and which parameters are frozen."""
    new.train(old.training)
    for name, parameter in new.named_parameters(recurse=False):
        twin = old.get_parameter(name) if getattr(old, name, None) is not None else old.weight
        parameter.requires_grad_(twin.requires_grad)
    return new
