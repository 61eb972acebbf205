"""Files and folders are written whole: a folder never replaces one that is there, a file is the old one or the new one.

What is written is on the disk before it has its name.
"""

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harmonic.errors import BundleError, HarmonicError, RunError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def must_be_free(folder: Path) -> None:
    """BundleError if something is where a bundle shall be, or nothing can be written there: to be asked before any long
    work for it."""
    if os.path.lexists(folder):
        raise BundleError(f"{folder} exists already. Choose another place, or remove it first.")
    must_be_writable(folder)


def must_be_writable(folder: Path) -> None:
    """BundleError where a folder could not be made: a hidden one is made beside it, or above it, and removed."""
    above = next(parent for parent in folder.absolute().parents if os.path.lexists(parent))
    try:
        with tempfile.TemporaryDirectory(prefix=".harmonic.", dir=above):
            pass
    except OSError as error:
        said = f"cannot be written: {error.strerror or error}. Nothing was saved; choose another place."
        raise BundleError(f"{folder}: {said}") from error


@contextmanager
def renewed(path: Path) -> Iterator[Path]:
    """Where to write the next state of a file: it takes the file's name once it lies on the disk. What fails leaves the
    file as it was, and nothing beside it."""
    part = path.with_suffix(".part")
    try:
        yield part
        _sync(part, os.O_RDONLY)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def full_disk_told(run: Path) -> Iterator[None]:
    """RunError, with what to do, where a run finds its disk full."""
    try:
        yield
    except (OSError, HarmonicError) as error:
        # Who writes a bundle or a picture says in words of its own what the disk refused.
        refused = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(refused, OSError) or refused.errno not in _FULL:
            raise
        raise RunError(
            f"{refused.filename or run}: cannot be written: {refused.strerror}. The last checkpoint is whole: make "
            "room, give the same command again, and the run goes on from there."
        ) from error


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


def schema_of(written: bytes, otherwise: int) -> int:
    """The `schema_version` of a JSON file; `otherwise` where it has none. What is no JSON is for others to refuse."""
    try:
        found = json.loads(written)
    except ValueError:
        return otherwise
    schema = found.get("schema_version", otherwise) if isinstance(found, dict) else otherwise
    return schema if isinstance(schema, int) else otherwise
