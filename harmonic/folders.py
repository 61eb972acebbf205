"""Class folders, on disk or in a zip: `<class>/<image>`, with or without folders for train, val and test above.

Folders inside a class folder belong to the class. A single folder around everything, as archivers make, is looked
through.
"""

import io
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from PIL import Image

from harmonic.errors import DataError
from harmonic.images import Images, Opener
from harmonic.pixels import upright_rgb

Split = Literal["train", "val", "test"]
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class ClassFolders:
    """The pictures of a source. root: folders above classes and splits. names: paths below it, sorted."""

    path: Path
    root: PurePosixPath
    names: tuple[PurePosixPath, ...]

    @property
    def splits(self) -> dict[Split, str]:
        """Folders that hold splits, by split; empty where the source has none."""
        tops = sorted({name.parts[0] for name in self.names if len(name.parts) > 2}, reverse=True)
        return {_SPLIT_NAMES[top.lower()]: top for top in tops if top.lower() in _SPLIT_NAMES}

    def images(self, folder: str | None) -> Images:
        """The images of one split's folder, or of all classes."""
        start = 1 if folder else 0
        names = [n for n in self.names if len(n.parts) >= start + 2 and (folder is None or n.parts[0] == folder)]
        if not names:
            wanted = "<class>/<image>" if folder is None else f"{folder}/<class>/<image>"
            raise DataError(
                f"{self.path} holds no images in class folders; wanted {wanted}, one of {', '.join(sorted(SUFFIXES))}."
            )
        classes = tuple(sorted({name.parts[start] for name in names}))
        number = {name: index for index, name in enumerate(classes)}
        labels = np.array([number[name.parts[start]] for name in names], dtype=np.int64)
        members = [self.root / name for name in names]
        source = self.path.name if folder is None else f"{self.path.name} {folder}"
        return Images(
            source, classes, labels, [f"{self.path.name}/{member}" for member in members], opener(self.path, members)
        )


def find(path: Path) -> ClassFolders:
    """Look through a folder or zip; hidden files and what macOS adds are left out."""
    names = sorted({name for name in listing(path) if name.suffix.lower() in SUFFIXES})
    root = PurePosixPath()
    while len({name.parts[0] for name in names}) == 1 and all(len(name.parts) > 2 for name in names):
        if names[0].parts[0].lower() in _SPLIT_NAMES:
            break  # A lone train folder is a split, not a wrapping.
        root /= names[0].parts[0]
        names = [PurePosixPath(*name.parts[1:]) for name in names]
    return ClassFolders(path, root, tuple(names))


def listing(path: Path) -> list[PurePosixPath]:
    """Relative paths of all files of a folder or zip, hidden ones left out."""
    if path.is_dir():
        names = [PurePosixPath(p.relative_to(path).as_posix()) for p in path.rglob("*") if p.is_file()]
    else:
        try:
            with zipfile.ZipFile(path) as archive:
                names = [PurePosixPath(info.filename) for info in archive.infolist() if not info.is_dir()]
        except (zipfile.BadZipFile, OSError) as error:
            raise DataError(f"{path}: neither a folder nor a readable zip ({error}).") from error
    return [n for n in names if not any(part.startswith((".", "__MACOSX")) for part in n.parts)]


def opener(path: Path, names: Sequence[PurePosixPath]) -> Opener:
    """What opens the images of these names, in a folder or zip, by their index."""
    members = tuple(str(name) for name in names)
    return _FileOpener(path, members) if path.is_dir() else _ZipOpener(path, members)


@dataclass(frozen=True)
class _FileOpener:
    """Opens images of a folder by number."""

    folder: Path
    members: tuple[str, ...]

    def __call__(self, index: int) -> Image.Image:
        return _decoded((self.folder / self.members[index]).read_bytes())


@dataclass
class _ZipOpener:
    """Opens images of a zip by number, reading from the file each time: the zip may be larger than memory.

    Threads share one reader, which locks; a forked process opens its own, since the file's position is shared.
    """

    path: Path
    members: tuple[str, ...]
    _reader: tuple[int, zipfile.ZipFile] | None = field(default=None, repr=False, compare=False)

    def __call__(self, index: int) -> Image.Image:
        return _decoded(self._archive().read(self.members[index]))

    def _archive(self) -> zipfile.ZipFile:
        reader = self._reader
        if reader is None or reader[0] != os.getpid():
            reader = self._reader = (os.getpid(), zipfile.ZipFile(self.path))
        return reader[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None}


def _decoded(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return upright_rgb(image)
