"""Where conversion was: `harmonic.conversion` has it now. Kept for programs that import from here."""

from harmonic.conversion.convert import Conversion, convert, harmonise

__all__ = ["Conversion", "convert", "harmonise"]
