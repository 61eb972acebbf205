"""Where the filter banks were: `harmonic.layers` has them now. Kept for programs that import from here."""

from harmonic.layers.banks import dct_bank, filter_bank, frequencies

__all__ = ["dct_bank", "filter_bank", "frequencies"]
