"""One layer as its plan says: plain or harmonic before, harmonic afterwards."""

import copy

from torch import nn

from harmonic.conversion.plans import LayerPlan, is_same_padded
from harmonic.conversion.projection import band_normed_from, harmonic_from, relevelled, with_bands
from harmonic.errors import SpectrumError
from harmonic.layers import BandNormConv2d, BandSet, Bank, SamePadding2d, SpectralConv2d


def planned(name: str, old: nn.Conv2d | SpectralConv2d, plan: LayerPlan, projected: bool = True) -> nn.Module:
    """A new layer in the place of another, as its plan says; SpectrumError, naming the layer, where it cannot follow.

    projected: False leaves it random weights, for a network still to be trained.
    """
    new = _levelled(name, old, plan, projected)
    if plan.bands:
        new = _with_bands(name, new, plan.bands, projected)
    if isinstance(old, SpectralConv2d) or not is_same_padded(old):
        return new
    # The padding depends on the image's size, so it cannot stand in the convolution.
    return nn.Sequential(SamePadding2d(old.kernel_size, old.stride, old.dilation), new)


def _levelled(name: str, old: nn.Conv2d | SpectralConv2d, plan: LayerPlan, projected: bool) -> SpectralConv2d:
    """The layer with all bands of its level."""
    if isinstance(old, SpectralConv2d):
        if plan.norm != isinstance(old, BandNormConv2d):
            raise SpectrumError(f"layer {name} is harmonic already; its inner norm can be neither added nor removed.")
        if plan.bank not in (None, old.bank_kind):
            return harmonic_from(old.as_conv2d(), level=plan.level, bank=plan.bank, projected=projected)
        return relevelled(old, plan.level, projected=projected)
    plain = _without_padding(old) if is_same_padded(old) else old
    bank: Bank = plan.bank or "dct"
    if not plan.norm:
        return harmonic_from(plain, level=plan.level, bank=bank, projected=projected)
    bias = True if plan.bias else None
    return band_normed_from(plain, level=plan.level, bank=bank, bias=bias, projected=projected)


def _without_padding(layer: nn.Conv2d) -> nn.Conv2d:
    bare = copy.copy(layer)
    bare.padding, bare.padding_mode = (0, 0), "zeros"
    return bare


def _with_bands(name: str, layer: SpectralConv2d, bands: BandSet, projected: bool) -> SpectralConv2d:
    try:
        return with_bands(layer, bands, projected=projected)
    except SpectrumError as error:
        raise SpectrumError(f"layer {name}: {error}") from error
