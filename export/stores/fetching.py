"""One version comes from a store into a folder: its manifest, every file that is listed there, and their sums."""

from pathlib import Path

from export.errors import StoreError
from export.manifest import MANIFEST, Manifest, check_files, read_manifest
from export.stores.store import Store, Take

_MANIFEST_BYTES = 4 * 2**20
_FILES = 100  # more of them is nothing that we published


def fetch(store: Store, name: str, number: int, folder: Path, take: Take) -> Manifest:
    """Bring a version, and check it. take: told of bytes as they come; may raise.

    Raises StoreError for a version that is not there or is not as it should be, StoreAwayError, ManifestError.
    """
    place = name, str(number)
    written = store.read(*place, MANIFEST, most=_MANIFEST_BYTES)
    if written is None:
        raise StoreError("it has no manifest yet, so it is not published")
    (folder / MANIFEST).write_bytes(written)
    take(len(written))
    manifest = read_manifest(folder)
    if len(manifest.files) > _FILES or MANIFEST in manifest.files:
        raise StoreError(f"its manifest lists {len(manifest.files)} files; it may list {_FILES}, and not itself")
    for file in sorted(manifest.files):
        store.fetch(folder / file, take, *place, file)
    check_files(folder, manifest)
    return manifest
