"""Class folders, on disk or in a zip: `<class>/<image>`, with or without folders for train, val and test above.

Folders inside a class folder belong to the class. A single folder around everything, as archivers make, is looked
through.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from harmonic.data.files import Files, files
from harmonic.data.images import Images, counted, some
from harmonic.data.openers import opener
from harmonic.errors import DataError
from harmonic.pixels import HEIC, SUFFIXES

Split = Literal["train", "val", "test"]
_OTHER_PICTURES = {".heic", ".heif", ".jxl", ".jp2", ".psd", ".svg", ".raw", ".dng", ".cr2", ".nef", ".arw"}
SPLIT_NAMES: dict[str, Split] = {
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
    """The pictures of a source. root: folders above classes and splits. names: paths of images below it, sorted.

    others: paths of other files below it. folders: all folders below it. outside: files beside the root, images or not.
    """

    path: Path
    root: PurePosixPath
    names: tuple[PurePosixPath, ...]
    others: tuple[PurePosixPath, ...] = ()
    folders: frozenset[PurePosixPath] = frozenset()
    outside: tuple[PurePosixPath, ...] = ()

    @property
    def splits(self) -> dict[Split, str]:
        """Folders that hold splits, by split; empty where the source has none.

        A folder called train that holds folders is a split where nothing else lies beside it, or another split does.
        It is a class beside two other folders or more, or if it holds images of its own. DataError for a doubt.
        """
        tops = {name.parts[0] for name in self.names if len(name.parts) > 1}
        flat = {name.parts[0] for name in self.names if len(name.parts) == 2}
        named = {name.parts[0] for name in self.names if len(name.parts) > 2 and name.parts[0].lower() in SPLIT_NAMES}
        beside = tops - named
        found = {SPLIT_NAMES[top.lower()]: top for top in sorted(named, reverse=True)}
        if len(found) == 1 and (len(beside) > 1 or (beside and named <= flat)):
            return {}
        if len(found) == 1 and beside:
            raise DataError(
                f"{self.path} holds {', '.join(sorted(named))} beside {', '.join(sorted(beside))}: if that is a split, "
                "take the other folder away; if it is a class, put its images straight into it."
            )
        return found

    def images(self, folder: str | None) -> Images:
        """The images of one split's folder, or of all classes. DataError for a class folder without an image."""
        start = 1 if folder else 0
        names = [n for n in self.names if len(n.parts) >= start + 2 and (folder is None or n.parts[0] == folder)]
        if not names:
            wanted = "<class>/<image>" if folder is None else f"{folder}/<class>/<image>"
            found = counted(self._left_out(folder, names)) or "nothing"
            raise DataError(
                f"{self.path} holds no images in class folders; wanted {wanted}, one of {', '.join(sorted(SUFFIXES))}; "
                f"found {found}."
            )
        self._refuse_empty(folder, {name.parts[: start + 1] for name in names})
        classes = tuple(sorted({_class(name, start) for name in names}))
        number = {name: index for index, name in enumerate(classes)}
        labels = np.array([number[_class(name, start)] for name in names], dtype=np.int64)
        members = [self.root / name for name in names]
        source = self.path.name if folder is None else f"{self.path.name} {folder}"
        return Images(
            source,
            classes,
            labels,
            [_text(f"{self.path.name}/{member}") for member in members],
            opener(self.path, members),
            left_out=self._left_out(folder, names),
        )

    def _refuse_empty(self, folder: str | None, filled: set[tuple[str, ...]]) -> None:
        """A class that silently disappears is worse than a refusal."""
        above = () if folder is None else (folder,)
        level = {f.parts for f in self.folders if len(f.parts) == len(above) + 1 and f.parts[: len(above)] == above}
        empty = sorted(level - filled)
        if empty:
            found = [f"{_text('/'.join(parts))} ({self._holds(PurePosixPath(*parts))})" for parts in empty]
            raise DataError(
                f"{self.path}: {len(empty)} class folders without an image that can be read: {some(found)}. Convert "
                f"their files to JPEG or PNG (wanted {', '.join(sorted(SUFFIXES))}), or take the folders away."
            )

    def _holds(self, folder: PurePosixPath) -> str:
        return counted(Counter(_kind(name) for name in self.others if name.is_relative_to(folder))) or "nothing"

    def _left_out(self, folder: str | None, taken: Sequence[PurePosixPath]) -> dict[str, int]:
        """How many files were not taken, by kind; images of the other splits are no loss."""
        splits = set(self.splits.values()) - {folder} if folder else set()
        counts = Counter(_kind(name) for name in (*self.others, *self.outside) if name.parts[0] not in splits)
        outside = sum(name.parts[0] not in splits for name in self.names) - len(taken)
        if outside:
            counts["images outside class folders" if folder is None else f"images outside {folder}/<class>/"] = outside
        return dict(counts)


def class_folders(path: Path) -> ClassFolders:
    """Look through a folder or zip; hidden files and what macOS adds are left out."""
    found = files(path)
    names = [name for name in found.names if name.suffix.lower() in SUFFIXES]
    root = PurePosixPath()
    while len({name.parts[0] for name in names}) == 1 and all(len(name.parts) > 2 for name in names):
        if names[0].parts[0].lower() in SPLIT_NAMES or _lost_classes(found, root, names[0].parts[0]):
            break  # A lone train folder is a split, and one beside lost classes is a class, not a wrapping.
        root /= names[0].parts[0]
        names = [PurePosixPath(*name.parts[1:]) for name in names]
    others = [name for name in found.names if name.suffix.lower() not in SUFFIXES]
    return ClassFolders(
        path,
        root,
        tuple(names),
        tuple(name.relative_to(root) for name in others if name.is_relative_to(root)),
        frozenset(f.relative_to(root) for f in found.folders if f != root and f.is_relative_to(root)),
        tuple(name for name in others if not name.is_relative_to(root)),
    )


def listing(path: Path) -> list[PurePosixPath]:
    """Relative paths of all files of a folder or zip, hidden ones left out."""
    return list(files(path).names)


def _lost_classes(found: Files, root: PurePosixPath, top: str) -> bool:
    """Whether folders beside the only one with images look like classes: empty, or with pictures of other formats."""
    beside = [folder for folder in found.folders if folder.parent == root and folder not in (root, root / top)]
    held = [[name for name in found.names if name.is_relative_to(folder)] for folder in beside]
    return any(not names or any(name.suffix.lower() in _OTHER_PICTURES for name in names) for names in held)


def _class(name: PurePosixPath, start: int) -> str:
    """A class's name, the same from every system: some store an accent apart from its letter."""
    return unicodedata.normalize("NFC", _text(name.parts[start]))


def _text(name: str) -> str:
    """A name as text, also where a disk holds bytes that are none."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _kind(name: PurePosixPath) -> str:
    if name.suffix.lower() in HEIC.suffixes:
        return f"{name.suffix.lower()} files (read with the extra heic)"
    return f"{_text(name.suffix.lower())} files" if name.suffix else "files without a suffix"
