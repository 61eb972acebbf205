"""A folder that is a copy of a store's repository: whole versions, checked before they have their name.

The store is never believed: names are those that models and versions may have, sizes are counted as bytes come,
contents are those of the manifest's sums. A store that is away leaves the copy as it is. What was copied is not read
again: a version is never edited.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export.errors import ExportError, RepositoryError, StoreAwayError, StoreError
from export.repository import as_names, as_versions, model_names, publishing, version_dir, versions
from export.stores.fetching import fetch
from export.stores.room import Room, Version
from export.stores.store import Store
from harmonic.disk import renewed

log = logging.getLogger(__name__)
Choose = Callable[[str, list[int]], list[int]]  # of a model's versions those that are wanted, the most wanted first
_OF_MODEL, _OF_ROOT = "config.toml", "repository.toml"  # what the service reads beside the versions
_SMALL_BYTES = 64 * 2**10
_MODELS = 1000  # more of them is nothing that we published
_LONGEST_WAIT_S = 3600.0
_OWNER, _LOCK = ".store", ".lock"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a store came to. away: why it could not be asked, if so."""

    brought: tuple[Version, ...] = ()
    refused: tuple[Version, ...] = ()
    removed: tuple[Version, ...] = ()
    used: int = 0
    away: str = ""


class Mirror:
    """folder: the copy, of this store and of nothing else. most: bytes that it may take. choose: what is wanted.
    served: versions that answer now, which are never removed for room. wait: seconds from one try of a version that
    is not as it should be to the next; it doubles."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        most: int,
        choose: Choose,
        served: Callable[[], Collection[Version]] = tuple,
        wait: float = 5.0,
    ) -> None:
        self._store = store
        self._folder = folder
        self._most = most
        self._choose = choose
        self._served = served
        self._wait = wait
        self._brought: list[Version] = []
        self._refused: list[Version] = []
        self._refusals: dict[Version, tuple[int, float]] = {}  # how often in a row, and when it may be tried again

    def own(self) -> None:
        """Take the folder for the copy. Raises RepositoryError if it is anything else: versions are removed there."""
        mark = self._folder / _OWNER
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not any(self._folder.iterdir()):
                mark.write_text(f"{self._store}\n", encoding="utf-8")
            found = mark.read_text(encoding="utf-8").strip() if mark.is_file() else ""
        except OSError as error:
            raise RepositoryError(
                f"{self._folder}: no copy of {self._store} can be kept there ({error.strerror}). "
                "Set HARMONIC_CACHE to a folder that may be written."
            ) from error
        if found != str(self._store):
            raise RepositoryError(
                f"{self._folder} is no copy of {self._store}, and versions would be removed from it. "
                "Give an empty folder."
            )

    def look(self) -> Look:
        """Bring what is new and wanted, remove what the store has no longer. What fails, fails alone."""
        self._brought, self._refused, away = [], [], ""
        with self._locked() as mine:
            room = Room(self._folder, self._most)
            try:
                if mine:  # else another service of this machine does it
                    self._look(room)
            except StoreAwayError as error:
                away = str(error)
        return Look(tuple(self._brought), tuple(self._refused), tuple(room.removed), room.used, away)

    def has_versions(self) -> bool:
        """True if there is anything to serve though the store were away."""
        return any(versions(self._folder, name) for name in model_names(self._folder))

    def _look(self, room: Room) -> None:
        self._store.forget()
        there = self._contents()
        wanted = [(name, number) for name, found in there.items() for number in self._choose(name, found)]
        room.keep({*wanted, *self._served()})
        self._follow_removals(there, room)
        broken_off = False
        for version in wanted:
            if version_dir(self._folder, *version).exists() or self._waits(version):
                continue
            try:
                self._bring(version, room)
                broken_off = False
            except StoreAwayError:
                # One transfer may break off; where the next one does, too, the store is away.
                if broken_off:
                    raise
                broken_off = True

    def _contents(self) -> dict[str, list[int]]:
        """The versions of every model in the store.

        Raises StoreAwayError also where it has nothing at all: one that was emptied, and one that is not reached, look
        alike.
        """
        found = self._store.list()
        names = as_names(found.folders)
        if not names:
            raise StoreAwayError(f"{self._store} has no models")
        if len(names) > _MODELS:
            log.warning("%s has %d models; the first %d are looked at", self._store, len(names), _MODELS)
        self._small(_OF_ROOT, found.files)
        return {name: self._versions(name) for name in names[:_MODELS]}

    def _versions(self, name: str) -> list[int]:
        found = self._store.list(name)
        self._small(_OF_MODEL, found.files, name)
        return as_versions(found.folders)

    def _follow_removals(self, there: dict[str, list[int]], room: Room) -> None:
        for name in model_names(self._folder):
            for number in set(versions(self._folder, name)) - set(there.get(name, ())):
                log.info("%s version %d is gone from %s", name, number, self._store)
                room.remove((name, number))
            if name not in there:
                (self._folder / name / _OF_MODEL).unlink(missing_ok=True)
                if not any((self._folder / name).iterdir()):
                    (self._folder / name).rmdir()

    def _small(self, file: str, there: Collection[str], *inner: str) -> None:
        """Have one of the files beside the versions as the store has it. there: the names beside it."""
        target = self._folder.joinpath(*inner, file)
        try:
            found = self._store.read(*inner, file, most=_SMALL_BYTES) if file in there else None
        except StoreAwayError:
            raise
        except StoreError as error:
            log.warning("%s", error)
            return
        if found is None:
            target.unlink(missing_ok=True)
        elif not target.is_file() or target.read_bytes() != found:
            target.parent.mkdir(exist_ok=True)
            with renewed(target) as part:
                part.write_bytes(found)

    def _bring(self, version: Version, room: Room) -> None:
        """Copy a version. One that is not as it should be is tried again later; raises StoreAwayError."""
        written = room.written
        try:
            with publishing(self._folder, *version) as (staging, _):
                fetch(self._store, *version, staging, room.take)
        except ExportError as error:
            room.give_back(written)
            self._refuse(version, error)
            if isinstance(error, StoreAwayError):
                raise
            return
        self._refusals.pop(version, None)
        self._brought.append(version)
        log.info("%s version %d has come from %s", *version, self._store)

    def _refuse(self, version: Version, error: ExportError) -> None:
        tries = self._refusals.get(version, (0, 0.0))[0] + 1
        self._refused.append(version)
        wait = min(self._wait * 2 ** min(tries - 1, 20), _LONGEST_WAIT_S)
        self._refusals[version] = tries, time.monotonic() + wait
        what = str(error).replace(str(self._folder), "").lstrip("/")
        log.warning("%s version %d of %s is not taken (tried again in %.0f s): %s", *version, self._store, wait, what)

    def _waits(self, version: Version) -> bool:
        return version in self._refusals and time.monotonic() < self._refusals[version][1]

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Whether this process alone works on the copy until then."""
        descriptor = os.open(self._folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(descriptor)
