"""A version goes to a store: whole, or not at all, and never over another.

Object stores cannot rename. So a version's number is claimed first, by a file that only one publisher can have created;
then come its files, and the manifest last: readers take no version without one. A claim stays, so that no publisher
ever writes among the files of another.
"""

import secrets
from contextlib import suppress
from pathlib import Path

from export.errors import ExportError, RepositoryError, StoreError
from export.manifest import MANIFEST, Manifest, check_files, read_manifest
from export.repository import as_versions, checked_name
from export.stores import hub
from export.stores.store import Store

_CLAIM = ".claim"
_TRIES = 100
_BESIDE = ("classes.txt", "config.pbtxt", "config.toml")  # of the model, beside its versions


def publish(store: Store, name: str, source: Path, version: int | None = None) -> int:
    """Publish the version that lies in a folder; returns its number. version: None takes the next free one.

    Raises ManifestError for a folder whose sums do not hold, RepositoryError for a version that is there, StoreError;
    the store then has no such version.
    """
    checked_name(name)
    manifest = read_manifest(source)
    check_files(source, manifest)
    if version is not None and version < 1:
        raise RepositoryError(f"{version} cannot be a version: use a whole number from 1.")
    if store.address.kind == "hf":
        return hub.commit_version(store, name, source, manifest, version)
    number, token = _claimed(store, name, version)
    try:
        _upload(store, name, source, manifest, number)
    except BaseException:
        _withdraw(store, name, manifest, number)
        raise
    _seal(store, name, source, number, token)
    for file in _BESIDE:
        if (source.parent / file).is_file():
            store.put(source.parent / file, name, file)
    return number


def free_number(store: Store, name: str) -> int:
    """The number that the next version would have."""
    return max(as_versions(store.list(checked_name(name)).folders), default=0) + 1


def _claimed(store: Store, name: str, version: int | None) -> tuple[int, bytes]:
    """A number that is this publisher's alone, and what its claim says."""
    token = secrets.token_hex(16).encode()
    first = free_number(store, name) if version is None else version
    for number in range(first, first + (_TRIES if version is None else 1)):
        there = store.read(name, str(number), MANIFEST, most=2**22)
        if there is None and store.create(token, name, str(number), _CLAIM):
            return number, token
    raise RepositoryError(
        f"{store}: {name} version {first} exists already, or somebody publishes it now, and nothing is ever "
        "overwritten. Choose another version."
    )


def _upload(store: Store, name: str, source: Path, manifest: Manifest, number: int) -> None:
    for file in sorted(manifest.files):
        store.put(source / file, name, str(number), file)


def _seal(store: Store, name: str, source: Path, number: int, token: bytes) -> None:
    """Make a version of what was uploaded."""
    if store.read(name, str(number), _CLAIM, most=1000) != token:
        raise StoreError(f"{store}: the claim of {name} version {number} was removed. Nothing was published.")
    if not store.create((source / MANIFEST).read_bytes(), name, str(number), MANIFEST):
        raise StoreError(f"{store}: {name} version {number} has another manifest. Nothing was published.")


def _withdraw(store: Store, name: str, manifest: Manifest, number: int) -> None:
    """Leave no data of what was not published. Where the store is away now, it stays, and nobody takes it."""
    for file in sorted(manifest.files):
        with suppress(ExportError):
            store.remove(name, str(number), file)
