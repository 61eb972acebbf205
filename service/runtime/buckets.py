"""Calls are padded to a few batch sizes, each with a session of its own.

On CUDA a convolution's plan belongs to the shape of the last call: a session whose batches change plans again and
again. Here every session sees one shape for ever.
"""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.manifest import Manifest
from service.runtime.padding import Padding
from service.runtime.placement import Placement
from service.runtime.providers import buckets
from service.runtime.session import Session


class BucketSession:
    """Sessions of one graph, one for each batch size that `buckets` has up to the largest."""

    def __init__(self, path: Path, manifest: Manifest, placement: Placement, largest: int) -> None:
        """Raises what opening a session raises."""
        self._sessions = {size: Session(path, manifest, placement) for size in buckets(largest)}
        self.provider = self._sessions[1].provider
        pixels = manifest.pixels
        self._padding = Padding(largest, pixels.shape, pixels.dtype, self._sessions[1].buffer)
        self._one_at_a_time = threading.Lock()  # of the calls whose images are copied

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """As a session's; images in it are padded where they lie."""
        return self._padding.buffer(shape, dtype)

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """As a session; more images than the largest size take several calls."""
        largest = max(self._sessions)
        parts = [self._answer(images[start : start + largest]) for start in range(0, len(images), largest)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def warm_up(self, batches: tuple[int, ...]) -> None:
        """Run every size once: those are all that there will ever be, whatever `batches` says."""
        for size, session in self._sessions.items():
            session.warm_up((size,))

    def follow_traffic(self) -> None:
        """Nothing adapts."""

    def reset(self) -> None:
        """Nothing was adapted."""

    def _answer(self, images: NDArray[Any]) -> NDArray[np.float32]:
        count = len(images)
        size = next(size for size in self._sessions if size >= count)
        if size == count:
            return self._sessions[size].run(images)
        if (padded := self._padding.in_place(images, size)) is not None:
            return self._sessions[size].run(padded)[:count]
        with self._one_at_a_time:
            return self._sessions[size].run(self._padding.copied(images, size))[:count]
