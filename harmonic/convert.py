"""Where conversion was: `harmonic.conversion` has it now. Kept for programs that import from here."""

from harmonic.conversion.convert import Conversion, as_plain, convert, harmonise
from harmonic.conversion.plans import LayerChoice

__all__ = ["Conversion", "LayerChoice", "as_plain", "convert", "harmonise"]
