"""Peak memory of work in a process of its own, from `/proc`: tracemalloc sees nothing of Pillow's C code."""

import subprocess
import sys
from pathlib import Path

PATIENCE_S = 120
_PROGRAM = """
import re, sys
from pathlib import Path
import warnings; warnings.simplefilter("ignore")
from harmonic.pixels import PixelSpec, prepare, Upright
from service.decoding.decode import Limits, decode, read
from PIL import Image, features
from service.decoding import quiet_pillow
Image.init(); Image.core, features.check("webp"), features.check("avif"); quiet_pillow()
def status(name):
    return int(re.search(rf"^{{name}}:\\s+(\\d+) kB", Path("/proc/self/status").read_text(), re.M)[1]) * 1024
def reset():
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
"""


def told(program: str, *arguments: object) -> list[int]:
    """The numbers that a program prints; it may use `status("VmHWM")` and `reset()`, in bytes."""
    command = [sys.executable, "-c", _PROGRAM.replace("{{", "{").replace("}}", "}") + program, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]
