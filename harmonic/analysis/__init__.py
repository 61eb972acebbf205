"""Pictures and tables of finished work: error against size, the weight of each frequency.

Reads runs and bundles; changes nothing.
"""

from harmonic.analysis.spectrum_picture import draw_spectrum
from harmonic.analysis.tradeoff import read_points
from harmonic.analysis.tradeoff_picture import draw_tradeoff
from harmonic.analysis.tradeoff_table import tradeoff_rows, tradeoff_tables

__all__ = ["draw_spectrum", "draw_tradeoff", "read_points", "tradeoff_rows", "tradeoff_tables"]
