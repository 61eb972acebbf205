"""Pillow in a server: it remarks on nothing, refuses what it would only warn of, and gives a picture one thread."""

import warnings

from PIL import AvifImagePlugin, Image


def quiet_pillow() -> None:
    """Pillow remarks on damaged metadata: in a server that fills the log with what callers send, and memory with it."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # the pool has the others; each would have memory of its own
    warnings.simplefilter("error", Image.DecompressionBombWarning)  # refused, not remarked on
