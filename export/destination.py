"""Where an export goes: a folder, or a store. For a store the version is made in a folder, and then published."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export.repository import checked_name
from export.stores import Store, free_number, is_address, open_store, publish, read_address

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Destination:
    """folder: the repository to write into. version: the number to take there; None for the next free one."""

    folder: Path
    version: int | None
    _store: Store | None = None
    _asked: int | None = None

    def publish(self, version_dir: Path, tell: Tell) -> tuple[str, int]:
        """Bring a version that was made to where it shall be; its place and its number there. Raises as `publish`."""
        if self._store is None:
            return str(version_dir), int(version_dir.name)
        tell(f"publishing to {self._store}")
        name = version_dir.parent.name
        number = publish(self._store, name, version_dir, self._asked)
        return f"{self._store}/{name}/{number}", number


@contextmanager
def destination(repository: str, name: str, version: int | None) -> Iterator[Destination]:
    """The folder of a repository, or one that stands for a store until the end.

    A store is asked before anything is made. Raises StoreError, StoreAwayError, RepositoryError.
    """
    checked_name(name)
    if not is_address(repository):
        yield Destination(Path(repository), version)
        return
    store = open_store(read_address(repository))
    number = version or free_number(store, name)
    with tempfile.TemporaryDirectory(prefix="harmonic-") as folder:
        yield Destination(Path(folder), number, store, version)
