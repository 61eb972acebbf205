"""Fewer frequencies for a budget: what each layer loses in each cut, the cuts that lose least, and what is kept solved
for again, or learned from the whole network.

Knows bundles, conversion and images; no labels but to measure with, and no training.
"""

from harmonic.compression.bench import Bench, calibration, calibration_and_others, device_named
from harmonic.compression.choice import Budget, Measure, cuts_for, parse_budget
from harmonic.compression.compress import Outcome, compress_bundle, compress_to, compressed, shares
from harmonic.compression.cuts import Cut, Sets
from harmonic.compression.distill import Tuned, Tuning
from harmonic.compression.front import draw_front, front_table
from harmonic.compression.latency import Clock, Times, latency_prices
from harmonic.compression.prices import Prices, byte_prices, mac_prices, parameter_prices
from harmonic.compression.refit import refit
from harmonic.compression.sensitivity import fully_harmonic, losses, with_cuts
from harmonic.compression.table import compression_figures, compression_tables

__all__ = [
    "Bench",
    "Budget",
    "Clock",
    "Cut",
    "Measure",
    "Outcome",
    "Prices",
    "Sets",
    "Times",
    "Tuned",
    "Tuning",
    "byte_prices",
    "calibration",
    "calibration_and_others",
    "compress_bundle",
    "compress_to",
    "compressed",
    "compression_figures",
    "compression_tables",
    "cuts_for",
    "device_named",
    "draw_front",
    "front_table",
    "fully_harmonic",
    "latency_prices",
    "losses",
    "mac_prices",
    "parameter_prices",
    "parse_budget",
    "refit",
    "shares",
    "with_cuts",
]
