"""The files of a folder or zip by their paths below it, whatever made the zip. Knows nothing of classes or images.

Links to folders are followed. Hidden files and what macOS adds to zips are left out.
"""

import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harmonic.errors import DataError

_UTF8 = 0x800  # the flag of a zip's member whose name is UTF-8
_UNIX = 3  # of the systems that make zips, the one whose names may hold backslashes


@dataclass(frozen=True)
class Files:
    """names: how to open each file, by its path. folders: all of them, those without files included."""

    path: Path
    names: Mapping[PurePosixPath, str]
    folders: frozenset[PurePosixPath]


def files(path: Path) -> Files:
    """Look through a folder or zip; DataError for what is neither, or cannot be read."""
    try:
        found = dict(_walked(path, PurePosixPath(), ())) if path.is_dir() else _members(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: neither a folder nor a readable zip ({error}).") from error
    shown = {place: name for place, name in found.items() if not _hidden(place)}
    inner = {parent for place in shown for parent in place.parents}
    empty = {place for place, name in shown.items() if name is None}
    names = {place: name for place, name in sorted(shown.items()) if name is not None}
    return Files(path, names, frozenset(inner | empty))


def _walked(folder: Path, below: PurePosixPath, above: tuple[tuple[int, int], ...]) -> Iterator["_Found"]:
    """Every file and, with None, every folder. above: the folders on the way here, for links that lead back up."""
    here = folder.stat()
    way = (*above, (here.st_dev, here.st_ino))
    with os.scandir(folder) as entries:
        for entry in entries:
            place = below / entry.name
            if not entry.is_dir():
                if entry.is_file() or entry.is_symlink():  # a broken link is told when it is opened; a pipe would block
                    yield place, str(place)
            elif _hidden(PurePosixPath(entry.name)):
                continue
            elif (at := Path(entry.path).stat()) and (at.st_dev, at.st_ino) not in way:
                yield place, None
                yield from _walked(folder / entry.name, place, way)


_Found = tuple[PurePosixPath, str | None]


def _members(path: Path) -> dict[PurePosixPath, str | None]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    slashes = any("/" in member.filename for member in members)
    spelled = [(_spelled(member, slashes), member) for member in members]
    return {PurePosixPath(name): None if name.endswith("/") else member.filename for name, member in spelled}


def _spelled(member: zipfile.ZipInfo, slashes: bool) -> str:
    """A member's path: Windows' own tools write backslashes, and many tools UTF-8 without saying so."""
    name = member.filename
    if not member.flag_bits & _UTF8:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = member.filename  # truly in the old character set, as zipfile took it
    return name.replace("\\", "/") if member.create_system != _UNIX or not slashes else name


def _hidden(place: PurePosixPath) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in place.parts)
