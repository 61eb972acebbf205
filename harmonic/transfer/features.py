"""The features of images, computed once: a cache by the content of weights, preparation and images."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from harmonic.bundles import Headed
from harmonic.data import Images, prepared_batches
from harmonic.disk import renewed
from harmonic.errors import RunError
from harmonic.transfer.head import features_of

_BATCH = 32
_DIGEST = 16  # bytes of an image's number as it is kept; a zip's are shorter, and filled up
Features = Float32[ndarray, "n features"]


class Kept:
    """The features that are known of one network, by the images' content: a file in a cache, read once."""

    def __init__(self, headed: Headed, cache: Path | None) -> None:
        """cache: a folder; None keeps nothing."""
        self._headed = headed
        self._path = None if cache is None else cache / f"{_key(headed)}.npz"
        self._rows = _stored(self._path)

    def unknown(self, known: list[bytes]) -> int:
        """How many of these images it does not know. known: their `data.digests`."""
        return sum(_filled(digest) not in self._rows for digest in known)

    def of(self, images: Images, known: list[bytes], title: str) -> Features:
        """Features of every image, (n, features); what is known is not computed again.

        RunError where the cache cannot be written.
        """
        known = [_filled(digest) for digest in known]
        missing = np.array([i for i, digest in enumerate(known) if digest not in self._rows], np.int64)
        try:
            rows = _computed(self._headed, images.subset(missing), title) if len(missing) else iter(())
            for place, row in zip(missing, rows, strict=True):
                self._rows[known[place]] = row
        finally:  # whoever stops it finds again what was computed
            if len(missing):
                _store(self._path, self._rows)
        return np.stack([self._rows[digest] for digest in known])


def features(headed: Headed, images: Images, known: list[bytes], cache: Path | None, title: str) -> Features:
    """As `Kept.of`, where nothing else is asked of the cache."""
    return Kept(headed, cache).of(images, known, title)


def _computed(headed: Headed, images: Images, title: str) -> Iterator[ndarray]:
    """The features of each image in turn."""
    for batch in prepared_batches(images, headed.bundle.card.pixels, title=title):
        for start in range(0, len(batch), _BATCH):
            rows = features_of(headed, torch.from_numpy(batch[start : start + _BATCH])).numpy()
            yield from rows.astype(np.float32)


def _key(headed: Headed) -> str:
    """Of everything that makes features: the weights below the head, and how images are prepared."""
    whole = hashlib.sha256(headed.bundle.card.pixels.model_dump_json().encode())
    for name, tensor in headed.bundle.model.state_dict().items():
        if not name.startswith(f"{headed.layer}."):
            whole.update(name.encode() + tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()[:32]


def _filled(digest: bytes) -> bytes:
    return digest.ljust(_DIGEST, b"\0")


def _stored(path: Path | None) -> dict[bytes, ndarray]:
    """What a cache's file holds; nothing where it is missing or damaged, since it can be made again."""
    if path is None or not path.is_file():
        return {}
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            return {_filled(bytes(digest)): row for digest, row in zip(file["digests"], file["rows"], strict=True)}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        with _told(path):
            path.unlink()
        return {}


def _store(path: Path | None, rows: dict[bytes, ndarray]) -> None:
    if path is None or not rows:
        return
    numbers = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            renewed(path) as part,
            os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
        ):
            np.savez(file, digests=numbers, rows=np.stack(list(rows.values())))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """RunError, with what to do, where the cache cannot be written."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written: {error.strerror or error}. Features are kept there: make room, or name "
            "another folder in HARMONIC_CACHE, and give the same command again."
        ) from error
