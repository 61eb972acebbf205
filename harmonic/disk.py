"""What is written stays written: files and folders brought to the disk itself before others are told of them."""

import os
from pathlib import Path


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
