"""Fewer frequencies for a budget: what each layer loses at each level, and the levels that lose least.

Knows bundles, conversion and images; no training.
"""

from harmonic.compression.compress import (
    Bench,
    Outcome,
    calibration,
    compress_bundle,
    compressed,
    fully_harmonic,
    levels_for,
    losses,
    parse_budget,
    with_levels,
)
from harmonic.compression.table import compression_figures, compression_tables

__all__ = [
    "Bench",
    "Outcome",
    "calibration",
    "compress_bundle",
    "compressed",
    "compression_figures",
    "compression_tables",
    "fully_harmonic",
    "levels_for",
    "losses",
    "parse_budget",
    "with_levels",
]
