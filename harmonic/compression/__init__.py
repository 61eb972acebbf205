"""Fewer frequencies for a budget: what each layer loses at each level, the levels that lose least, and what is kept
solved for again.

Knows bundles, conversion and images; no training.
"""

from harmonic.compression.bench import Bench, calibration
from harmonic.compression.compress import Outcome, compress_bundle, compressed
from harmonic.compression.levels import levels_for, parse_budget
from harmonic.compression.refit import refit
from harmonic.compression.sensitivity import fully_harmonic, losses, with_levels
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
    "refit",
    "with_levels",
]
