"""Where the reading of checkpoints was: `harmonic.bundles` has it now. Kept for programs that import from here."""

from harmonic.bundles.checkpoints import import_reference, read_state

__all__ = ["import_reference", "read_state"]
