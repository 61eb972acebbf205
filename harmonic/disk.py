"""New folders: nothing that is there is overwritten, and what is written lies on the disk before others are told."""

import os
from pathlib import Path

from harmonic.errors import BundleError


def must_be_free(folder: Path) -> None:
    """BundleError if something is where a bundle shall be: to be asked before any long work for it."""
    if os.path.lexists(folder):
        raise BundleError(f"{folder} exists already. Choose another place, or remove it first.")


def sync(folder: Path) -> None:
    """Bring every file of a folder, and then its list of them, to the disk. OSError where the disk refuses."""
    for path in folder.iterdir():
        _sync(path, os.O_RDONLY)
    sync_names(folder)


def sync_names(folder: Path) -> None:
    """Bring to the disk which names a folder holds, after one was added or renamed."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
