"""A backend of plain numpy: the mean of each channel, times the matrix of `weights.npz`. A start for any other one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.manifest import MANIFEST, sha256
from service.runtime import Backend, Opening, SessionError, backend

WEIGHTS = "weights.npz"


class NumpyBackend:
    """Means of channels, weighed."""

    provider = "numpy"

    def __init__(self, path: Path, shape: tuple[int, ...], classes: int) -> None:
        try:
            self._matrix = np.load(path, allow_pickle=False)["matrix"]
        except (OSError, ValueError, KeyError) as error:
            raise SessionError(f"{path}: no readable weights ({error}). Export the version again.") from error
        if self._matrix.shape != (shape[-1], classes):
            raise SessionError(f"{path}: the matrix is {self._matrix.shape}, not {(shape[-1], classes)}.")
        self._shape = shape

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        return np.empty(shape, dtype)

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        if images.shape[1:] != self._shape:
            raise ValueError(f"images are {images.shape[1:]}, not {self._shape}")
        return np.asarray(images.mean((1, 2), dtype=np.float32) @ self._matrix, dtype=np.float32)

    def warm_up(self, batches: tuple[int, ...]) -> None:
        for size in batches:
            self.run(np.zeros((size, *self._shape), np.uint8))

    def follow_traffic(self) -> None:
        pass

    def reset(self) -> None:
        pass


def takes(opening: Opening) -> bool:
    """Those versions whose file is one of weights."""
    return opening.variant.file == WEIGHTS


def open_numpy(opening: Opening) -> Backend:
    manifest = opening.manifest
    return NumpyBackend(opening.folder / WEIGHTS, manifest.pixels.shape, len(manifest.classes))


def register() -> None:
    """Put it on the list of this process."""
    backend("numpy", takes)(open_numpy)


def as_weights(folder: Path, sharpness: float = 8.0) -> Path:
    """Turn a version of the colour model into one that this backend runs."""
    np.savez(folder / WEIGHTS, matrix=(sharpness / 255 * np.eye(3)).astype(np.float32))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["variants"][0]["file"] = WEIGHTS
    manifest["files"][WEIGHTS] = sha256(folder / WEIGHTS)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder
