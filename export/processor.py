"""This machine's processor: its name, and whether it multiplies 8-bit integers fast. Torch-free."""

import platform
import re
from functools import cache
from pathlib import Path

# What MLAS, ONNX Runtime's arithmetic, has int8 kernels for that neither saturate nor unpack: x86's, then ARM's.
_FAST = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}
_SAID = Path("/proc/cpuinfo")


def processor_name(said: str | None = None) -> str:
    """What the processor calls itself. said: text in the form of /proc/cpuinfo; None for this machine's."""
    found = re.search(r"^model name\s*:\s*(.+)$", _read() if said is None else said, re.MULTILINE)
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def multiplies_int8(said: str | None = None) -> bool:
    """True for a processor with VNNI, AMX or ARM's dot products: the others are slower in int8, or saturate."""
    text = _read() if said is None else said
    lines = re.findall(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    if lines:
        return bool(_FAST & set(lines[0].split()))
    return platform.system() == "Darwin" and platform.machine() == "arm64"


@cache
def _read() -> str:
    try:
        return _SAID.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux: the platform says less
        return ""
