"""The model repository: `<root>/<name>/<integer version>/`, Triton's shape.

Torch-free. A version is whole or absent: it is written beside its place, synced, and renamed; it is never edited
afterwards.
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from export.errors import RepositoryError
from export.staging import open_staging, sweep
from harmonic.disk import sync, sync_names

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_VERSION = re.compile(r"^[1-9][0-9]{0,8}\Z")


def model_names(root: Path) -> list[str]:
    """Names of the models in a repository, sorted; hidden folders and names that no URL could carry are left out."""
    if not root.is_dir():
        raise RepositoryError(f"{root}: no such folder. Give a model repository, or make one with `harmonic export`.")
    return as_names(entry.name for entry in root.iterdir() if entry.is_dir())


def versions(root: Path, name: str) -> list[int]:
    """Version numbers of a model, ascending; empty if there is no such model."""
    folder = root / checked_name(name)
    if not folder.is_dir():
        return []
    return as_versions(entry.name for entry in folder.iterdir() if entry.is_dir())


def as_names(entries: Iterable[str]) -> list[str]:
    """Those of a folder's names that may be models' names, sorted."""
    return sorted({entry for entry in entries if _NAME.match(entry)})


def as_versions(entries: Iterable[str]) -> list[int]:
    """Those of a folder's names that are versions, ascending."""
    return sorted({int(entry) for entry in entries if _VERSION.match(entry)})


def version_dir(root: Path, name: str, version: int) -> Path:
    """Where a version lies."""
    return root / checked_name(name) / str(version)


def checked_name(name: str) -> str:
    """The name itself, if it may be a model's name: letters, digits, '.', '_', '-', not starting with a sign."""
    if not _NAME.match(name):
        raise RepositoryError(f"{name!r} cannot be a model's name: use up to 100 letters, digits, '.', '_' and '-'.")
    return name


@contextmanager
def publishing(root: Path, name: str, version: int | None = None) -> Iterator[tuple[Path, int]]:
    """Yield an empty folder to fill and the version's number; on leaving without an error it becomes that version.

    version: None takes the next free number. A version that exists is never overwritten.
    Raises RepositoryError for what may not be published, and for a disk that is full; then there is no new version.
    A killed process leaves a hidden folder behind that no reader takes for a version; the next publisher on its
    host removes it, and after a day any other.
    """
    model_dir = root / checked_name(name)
    with _told(model_dir):
        model_dir.mkdir(parents=True, exist_ok=True)
    number = version if version is not None else max(versions(root, name), default=0) + 1
    if number < 1:
        raise RepositoryError(f"{number} cannot be a version: use a whole number from 1.")
    target = model_dir / str(number)
    if target.exists():
        raise RepositoryError(f"{target} exists already and is never overwritten. Choose another version.")
    with _told(target):
        staging = open_staging(model_dir, number)
        sweep(model_dir, staging)
    try:
        with _told(target):
            yield staging, number
            sync(staging)
            staging.chmod(0o755)
            _claim(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_if_empty(model_dir)
    sync_names(model_dir)


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """Tell of a disk that is full or that may not be written."""
    try:
        yield
    except OSError as error:
        raise RepositoryError(
            f"{target}: cannot be written: {error.strerror or error}. Nothing was published."
        ) from error


def _claim(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)  # Atomic; refuses a folder that holds anything.
    except OSError as error:
        raise RepositoryError(f"{target}: {error.strerror}; another export may have taken this version.") from error


def _remove_if_empty(folder: Path) -> None:
    """A first export that failed leaves no model behind."""
    if not any(folder.iterdir()):
        folder.rmdir()
