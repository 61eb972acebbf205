"""Pillow in a server: it remarks on nothing, and refuses what it would only warn of."""

import warnings

from PIL import Image


def quiet_pillow() -> None:
    """Pillow remarks on damaged metadata: in a server that fills the log with what callers send, and memory with it."""
    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.simplefilter("error", Image.DecompressionBombWarning)  # refused, not remarked on
