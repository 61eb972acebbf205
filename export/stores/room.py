"""The room on the disk that a copy may take, and what leaves it when more is needed. Knows no store."""

import shutil
from collections.abc import Collection
from pathlib import Path

from export.errors import StoreError
from export.repository import model_names, version_dir, versions
from export.staging import open_staging

Version = tuple[str, int]  # a model's name, and a version's number


class Room:
    """folder: the copy. most: bytes that it may take. kept: versions that must stay."""

    def __init__(self, folder: Path, most: int, kept: Collection[Version] = ()) -> None:
        self._folder = folder
        self._most = most
        self._kept = kept
        self.used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        self.written = 0
        self.removed: list[Version] = []

    def keep(self, kept: Collection[Version]) -> None:
        """Let these stay, and no others."""
        self._kept = kept

    def take(self, number: int) -> None:
        """Count bytes that are being written; what nobody needs leaves for them, the oldest first.

        Raises StoreError where they do not fit.
        """
        self.used += number
        self.written += number
        while self.used > self._most:
            if (oldest := self._oldest()) is None:
                raise StoreError(
                    f"it does not fit: the copy may take {self._most:,} bytes (store_bytes), and the versions that "
                    "serve, or would take their place, are in them"
                )
            self.remove(oldest)

    def give_back(self, written: int) -> None:
        """All that came since so many bytes had been written is gone again."""
        self.used -= self.written - written

    def remove(self, version: Version) -> None:
        """Remove a version from the copy."""
        folder = version_dir(self._folder, *version)
        self.used -= sum(path.stat().st_size for path in folder.iterdir())
        # Under a hidden name first: whoever looks meanwhile sees a whole version or none.
        leaving = open_staging(folder.parent, version[1])
        folder.rename(leaving)
        shutil.rmtree(leaving)
        self.removed.append(version)

    def _oldest(self) -> Version | None:
        here = [(name, number) for name in model_names(self._folder) for number in versions(self._folder, name)]
        loose = [version for version in here if version not in self._kept]
        return min(loose, key=lambda one: version_dir(self._folder, *one).stat().st_mtime_ns, default=None)
