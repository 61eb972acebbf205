"""Spectral layers: convolutions whose kernels are learned combinations of fixed filters; and the filters.

Knows torch; no whole network, no weights from elsewhere.
"""

from harmonic.layers.band_sets import BandSet, BandSetConv2d
from harmonic.layers.banks import Bank, checked_bank, checked_level, dct_bank, waves
from harmonic.layers.constants import WithConstants
from harmonic.layers.fourier import FourierConv2d
from harmonic.layers.hamming import FactorisedConv2d, HammingConv2d
from harmonic.layers.padding import SamePadding2d
from harmonic.layers.protocol import (
    SpectralLayer,
    WithSpectrum,
    has_spectrum,
    is_convolution,
    is_spectral,
    spectral_kinds,
    spectral_layer,
    whole_layers,
)
from harmonic.layers.shells import Map, Matrices, ShellActivation, resolutions, shared_matrices
from harmonic.layers.spectral import BandNormConv2d, HarmonicConv2d, Init, SpectralConv2d, synthesise

__all__ = [
    "BandNormConv2d",
    "BandSet",
    "BandSetConv2d",
    "Bank",
    "FactorisedConv2d",
    "FourierConv2d",
    "HammingConv2d",
    "HarmonicConv2d",
    "Init",
    "Map",
    "Matrices",
    "SamePadding2d",
    "ShellActivation",
    "SpectralConv2d",
    "SpectralLayer",
    "WithConstants",
    "WithSpectrum",
    "checked_bank",
    "checked_level",
    "dct_bank",
    "has_spectrum",
    "is_convolution",
    "is_spectral",
    "resolutions",
    "shared_matrices",
    "spectral_kinds",
    "spectral_layer",
    "synthesise",
    "waves",
    "whole_layers",
]
