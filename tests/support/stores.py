"""Repositories in stores: one in this process, and what may go wrong with any of them."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec

from export.stores import Mirror, Store, open_store, publish, read_address

_NUMBERS = itertools.count(1)


class Faulty:
    """A file system that does before each call what a test wants, such as raising."""

    def __init__(self, files: Any) -> None:
        self.files = files
        self.before: Callable[[str, str], None] = lambda call, path: None
        self.calls: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.files, name)
        if name not in {"ls", "get_file", "pipe_file", "put_file", "rm_file"}:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            path = str(args[1] if name == "put_file" else args[0])
            self.calls.append((name, path))
            self.before(name, path)
            return found(*args, **kwargs)

        return call


def in_memory(place: str | None = None) -> Store:
    """A store in this process, new unless its place is given."""
    return open_store(read_address(f"memory://{place or f'place-{next(_NUMBERS)}'}"))


def faulty(store: Store, seconds: float = 600.0) -> tuple[Store, Faulty]:
    """The same store, over a file system that fails as a test wants."""
    files = Faulty(fsspec.filesystem(store.address.kind))
    return Store(store.address, files, f"/{store.address.place}", seconds), files


def mirror_of(store: Store, folder: Path, most: int = 10**7, newest: int | None = None, **more: Any) -> Mirror:
    """A mirror of the newest versions, or of all, with its folder."""

    def choose(_name: str, present: list[int]) -> list[int]:
        return sorted(present, reverse=True)[:newest]

    mirror = Mirror(store, folder, most, choose, **more)
    mirror.own()
    return mirror


def uploaded(store: Store, version: Path, number: int | None = None) -> int:
    """Publish a version under its model's name."""
    return publish(store, version.parent.name, version, number)


def written(store: Store, content: bytes, *inner: str) -> None:
    """Write a file into a store of this process as anybody might, over what is there."""
    fsspec.filesystem("memory").pipe_file("/".join(("", store.address.place, *inner)), content)


def emptied(store: Store, *inner: str) -> None:
    """Remove all below a folder of a store of this process."""
    fsspec.filesystem("memory").rm("/".join(("", store.address.place, *inner)), recursive=True)


def stored(store: Store) -> set[str]:
    """The paths of every file in a store of this process."""
    root = f"/{store.address.place}/"
    return {path.removeprefix(root) for path in fsspec.filesystem("memory").find(root)}


@contextmanager
def changed_manifest(version: Path) -> Iterator[dict[str, Any]]:
    """The manifest of a version on disk, to be changed."""
    path = version / "manifest.json"
    content = json.loads(path.read_text())
    yield content
    path.write_text(json.dumps(content))
