"""One store, as far as it is needed: names, files with a bound, and files that are written if nobody else has.

Whatever comes from a store is counted as it arrives: what it says of its sizes is believed nowhere.
"""

import posixpath
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from export.errors import RepositoryError, StoreAwayError, StoreError
from export.stores.address import Address
from export.stores.reasons import reason

Take = Callable[[int], None]  # told of bytes as they come; may raise
_CREATES = ("s3", "gs", "memory")  # whose servers write a name only if it is free, in one step
_TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", " 412")  # as stores call a name that is not free
_LISTING_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Listing:
    """The names that a folder has."""

    folders: list[str]
    files: list[str]


class Store:
    """files: a file system of fsspec's. root: the repository's path in it. seconds: the most that one file may take."""

    def __init__(self, address: Address, files: Any, root: str, seconds: float = 600.0) -> None:
        self.address = address
        self._files = files
        self._root = root
        self._seconds = seconds

    def __str__(self) -> str:
        return str(self.address)

    def list(self, *inner: str) -> Listing:
        """What a folder has, hostile names too; nothing where there is no such folder. Raises StoreAwayError."""
        if self.address.kind in {"http", "https"}:
            return _linked(self._read(self._path(*inner) + "/", _LISTING_BYTES) or b"")
        with self._told("cannot be listed"):
            try:
                found = self._files.ls(self._path(*inner), detail=True, refresh=True)
            except (FileNotFoundError, NotADirectoryError):
                found = []
            names = [(posixpath.basename(str(one["name"]).rstrip("/")), one["type"] == "directory") for one in found]
        return Listing([name for name, folder in names if folder], [name for name, folder in names if not folder])

    def read(self, *inner: str, most: int) -> bytes | None:
        """A small file; None where there is none. Raises StoreAwayError, and StoreError for more than `most` bytes."""
        return self._read(self._path(*inner), most)

    def fetch(self, target: Path, take: Take, *inner: str) -> None:
        """Bring a file to the disk. Raises StoreAwayError, StoreError, and what `take` raises."""
        if not self._get(self._path(*inner), target, take):
            raise StoreError(f"{self}: {'/'.join(inner)} is not there")

    def create(self, content: bytes, *inner: str) -> bool:
        """Write a small file in one step, if there is none of its name; False if there is another.

        Raises StoreAwayError.
        """
        if self.address.kind not in _CREATES:
            raise StoreError(f"{self}: nothing can be published there. Publish to s3://, gs:// or hf://.")
        with self._told("cannot be written"):
            try:
                self._files.pipe_file(self._path(*inner), content, mode="create")
            except Exception as error:
                if not isinstance(error, FileExistsError) and not any(code in reason(error) for code in _TAKEN):
                    raise
                # A library asks again where an answer was lost: then it is there, and ours.
                return self.read(*inner, most=_LISTING_BYTES) == content
        return True

    def put(self, source: Path, *inner: str) -> None:
        """Write a file. Raises StoreAwayError."""
        with self._told("cannot be written"):
            self._files.put_file(str(source), self._path(*inner))

    def remove(self, *inner: str) -> None:
        """Remove a file that is there. Raises StoreAwayError."""
        with self._told("cannot be written"):
            self._files.rm_file(self._path(*inner))

    def forget(self) -> None:
        """Ask the store itself at the next look, and not what was heard of it before."""
        self._files.invalidate_cache()

    def _path(self, *inner: str) -> str:
        return "/".join((self._root, *inner))

    def _read(self, path: str, most: int) -> bytes | None:
        taken = _Taken(most, f"{self}: a file is larger than the {most:,} bytes that it may have")
        with tempfile.TemporaryDirectory(prefix="harmonic-") as folder:
            target = Path(folder) / "file"
            return target.read_bytes() if self._get(path, target, taken) else None

    def _get(self, path: str, target: Path, take: Take) -> bool:
        """Bring a file to the disk; False where there is none."""
        counting = _Counting(take, self._seconds)
        with self._told("cannot be read"):
            try:
                self._files.get_file(path, str(target), callback=counting)
            except (FileNotFoundError, IsADirectoryError):
                return False
            # A library that told of less than it wrote is held to the bound all the same.
            counting.absolute_update(max(target.stat().st_size, counting.value))
        return True

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Make of whatever a library raises one error, without its text: that may hold signatures and keys."""
        try:
            yield
        except RepositoryError:
            raise
        except Exception as error:  # a store's library may fail in any way
            raise StoreAwayError(f"{self} {what}: {reason(error)}") from None


class _Taken:
    """Counts bytes up to a bound."""

    def __init__(self, most: int, complaint: str) -> None:
        self._left = most
        self._complaint = complaint

    def __call__(self, number: int) -> None:
        self._left -= number
        if self._left < 0:
            raise StoreError(self._complaint)


class _Counting:
    """What fsspec calls a callback: tells of the bytes of one file as they come, and ends what takes too long."""

    def __init__(self, take: Take, seconds: float) -> None:
        self._take = take
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.value = 0

    def set_size(self, _size: int | None) -> None:
        """What the store says of the size: nobody believes it."""

    def relative_update(self, inc: int = 1) -> None:
        """So many bytes more."""
        self.value += inc
        self._take(inc)
        if time.monotonic() > self._end:
            raise StoreError(f"a file has not come within {self._seconds:g} s")

    def absolute_update(self, value: int) -> None:
        """So many bytes in all."""
        self.relative_update(value - self.value)


class _Links(HTMLParser):
    """What a web server's page about a folder links to, by last words; those of folders end with a slash."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        """Take a link's last word, if it leads to something of the same server."""
        link = urlsplit(dict(attrs).get("href") or "") if tag == "a" else None
        if link and not (link.scheme or link.netloc or link.query):
            path = unquote(link.path)
            self.words.append(posixpath.basename(path.rstrip("/")) + ("/" if path.endswith("/") else ""))


def _linked(page: bytes) -> Listing:
    links = _Links()
    links.feed(page.decode("utf-8", "replace"))
    folders = [word[:-1] for word in links.words if word.endswith("/")]
    return Listing(folders, [word for word in links.words if not word.endswith("/")])
