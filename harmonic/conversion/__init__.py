"""Any convolutional network becomes harmonic: which layers, at which level, by which arithmetic; and its spectrum.

Knows layers and graphs; no architecture by name, no file.
"""

from harmonic.conversion.convert import Conversion, apply, as_plain, convert, copied, harmonise, put
from harmonic.conversion.plans import (
    EVERYTHING,
    LayerChoice,
    LayerPlan,
    Level,
    harmonic_layers,
    plan_from_json,
    refusal,
    spatial_layers,
)
from harmonic.conversion.projection import in_bank
from harmonic.conversion.spectrum import Layer, must_have, spectrum, spectrum_table
from harmonic.conversion.table import conversion_figures, conversion_table, layer_column

__all__ = [
    "EVERYTHING",
    "Conversion",
    "Layer",
    "LayerChoice",
    "LayerPlan",
    "Level",
    "apply",
    "as_plain",
    "conversion_figures",
    "conversion_table",
    "convert",
    "copied",
    "harmonic_layers",
    "harmonise",
    "in_bank",
    "layer_column",
    "must_have",
    "plan_from_json",
    "put",
    "refusal",
    "spatial_layers",
    "spectrum",
    "spectrum_table",
]
