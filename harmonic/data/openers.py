"""Opens the images of a folder or zip by number: the formats that the service takes, upright, RGB."""

import os
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from harmonic.data.files import files
from harmonic.data.images import Opener
from harmonic.pixels import decoded


def opener(path: Path, names: Sequence[PurePosixPath]) -> Opener:
    """What opens the images of these names, in a folder or zip, by their index."""
    if path.is_dir():
        return _FileOpener(path, tuple(str(name) for name in names))
    stored = files(path).names
    return _ZipOpener(path, tuple(stored[name] for name in names))


@dataclass(frozen=True)
class _FileOpener:
    """Opens images of a folder by number."""

    folder: Path
    members: tuple[str, ...]

    def __call__(self, index: int) -> Image.Image:
        return decoded(self.stored(index)).whole()

    def digest(self, index: int) -> bytes:
        return blake2b(self.stored(index), digest_size=16).digest()

    def stored(self, index: int) -> bytes:
        return (self.folder / self.members[index]).read_bytes()


@dataclass
class _ZipOpener:
    """Opens images of a zip by number, reading from the file each time: the zip may be larger than memory.

    Threads share one reader, which locks; a forked process opens its own, since the file's position is shared.
    """

    path: Path
    members: tuple[str, ...]
    _reader: tuple[int, zipfile.ZipFile] | None = field(default=None, repr=False, compare=False)

    def __call__(self, index: int) -> Image.Image:
        return decoded(self.stored(index)).whole()

    def stored(self, index: int) -> bytes:
        return self._archive().read(self.members[index])

    def digest(self, index: int) -> bytes:
        """From the zip's own list, where the checksum of every file stands."""
        member = self._archive().getinfo(self.members[index])
        return struct.pack("<QL", member.file_size, member.CRC)

    def _archive(self) -> zipfile.ZipFile:
        reader = self._reader
        if reader is None or reader[0] != os.getpid():
            reader = self._reader = (os.getpid(), zipfile.ZipFile(self.path))
        return reader[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None}
