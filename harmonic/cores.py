"""How many CPU cores this process may use."""

import os


def usable_cores() -> int:
    """Cores of this process's affinity; all of the machine's where the system knows no affinity (macOS, Windows)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
