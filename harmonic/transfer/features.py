"""The features of images, computed once: a cache by the content of weights, preparation and images."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from harmonic.bundles import Headed
from harmonic.data import Images, prepared_batches
from harmonic.disk import renewed
from harmonic.transfer.head import features_of

_BATCH = 32
Features = Float32[ndarray, "n features"]


def features(headed: Headed, images: Images, known: list[bytes], cache: Path | None, title: str) -> Features:
    """Features of every image, (n, features). known: the images' `data.digests`. cache: a folder; None keeps nothing.

    What the cache holds of images of the same content is not computed again.
    """
    path = _path(headed, cache)
    stored = _stored(path)
    missing = np.array([i for i, digest in enumerate(known) if digest not in stored], np.int64)
    try:
        rows = _computed(headed, images.subset(missing), title) if len(missing) else iter(())
        for place, row in zip(missing, rows, strict=True):
            stored[known[place]] = row
    finally:  # whoever stops it finds again what was computed
        if len(missing):
            _store(path, stored)
    return np.stack([stored[digest] for digest in known])


def unknown(headed: Headed, known: list[bytes], cache: Path | None) -> int:
    """How many of these images the cache does not know."""
    stored = _stored(_path(headed, cache))
    return sum(digest not in stored for digest in known)


def _path(headed: Headed, cache: Path | None) -> Path | None:
    return None if cache is None else cache / f"{_key(headed)}.npz"


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


def _stored(path: Path | None) -> dict[bytes, ndarray]:
    """What a cache's file holds; nothing where it is missing or damaged, since it can be made again."""
    if path is None or not path.is_file():
        return {}
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            return {bytes(digest): row for digest, row in zip(file["digests"], file["rows"], strict=True)}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        path.unlink()
        return {}


def _store(path: Path | None, rows: dict[bytes, ndarray]) -> None:
    if path is None or not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
    with renewed(path) as part, os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        np.savez(file, digests=numbers, rows=np.stack(list(rows.values())))
