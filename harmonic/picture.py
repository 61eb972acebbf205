"""Pictures on disk: PNG, SVG or PDF by the suffix. Equal drawings are equal files.

Knows no content. Drawn without pyplot, which chooses a backend for the whole process.
"""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from harmonic.errors import PictureError

# What would differ from one drawing to the next, by format.
_DATES = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def must_be_picture(path: Path) -> None:
    """PictureError for a file of another kind: to be asked before any long work for it."""
    if path.suffix.lower() not in _DATES:
        raise PictureError(f"{path}: a picture is a .png, .svg or .pdf file.")


def write_picture(figure: Figure, path: Path) -> None:
    """Write a figure, in a folder made for it where there is none. PictureError for another suffix, and where it cannot
    be written."""
    must_be_picture(path)
    with mpl.rc_context({"svg.hashsalt": "harmonic"}):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=120, metadata=_DATES[path.suffix.lower()])
        except OSError as error:
            raise PictureError(f"{path}: cannot be written ({error.strerror}).") from error
