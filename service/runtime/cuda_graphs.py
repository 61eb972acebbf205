"""CUDA graphs: the calls of a batch size are recorded once and replayed, which saves the launch of every kernel.

A recording knows addresses, so each size has buffers of its own that never move, and a call is padded to the next size.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.manifest import Manifest
from export.runtime import ort
from service.runtime.lane import Lane
from service.runtime.padding import Padding
from service.runtime.placement import Placement
from service.runtime.providers import buckets
from service.runtime.session import Session


@dataclass(frozen=True, slots=True)
class _Bucket:
    """One batch size: input and output where the graph runs."""

    size: int
    input: ort.OrtValue
    output: ort.OrtValue
    binding: ort.IOBinding
    options: ort.RunOptions


class GraphSession(Session):
    """A session that runs batches of fixed sizes between fixed addresses, one call at a time.

    ONNX Runtime keeps recordings by thread, so every call goes through one thread of the session's own: what the
    warm-up recorded is what callers replay.
    """

    def __init__(self, path: Path, manifest: Manifest, placement: Placement, largest: int) -> None:
        super().__init__(path, manifest, placement, largest)
        self._lane = Lane("graphs")
        self._device = (placement.first.kind, placement.first.number)
        pixels = manifest.pixels
        self._padding = Padding(largest, pixels.shape, pixels.dtype, self._allocate)
        self._buckets = [self._bucket(number, size, manifest) for number, size in enumerate(buckets(largest), start=1)]

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """As a session's; images in it are padded where they lie."""
        return self._padding.buffer(shape, dtype)

    def _answer(self, images: NDArray[Any]) -> NDArray[np.float32]:
        largest = self._buckets[-1].size
        starts = range(0, len(images), largest)
        parts = [self._lane.call(partial(self._run, images[start : start + largest])) for start in starts]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def warm_up(self, batches: tuple[int, ...]) -> None:
        """Record every size, so that no caller waits for it; one more run of each replays the recording."""
        sizes = [bucket.size for bucket in self._buckets]
        super().warm_up((*sizes, *sizes, *batches))

    def _run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        count = len(images)
        bucket = next(bucket for bucket in self._buckets if bucket.size >= count)
        padded = self._padding.in_place(images, bucket.size)
        bucket.input.update_inplace(self._padding.copied(images, bucket.size) if padded is None else padded)
        self._session.run_with_iobinding(bucket.binding, bucket.options)
        return np.array(bucket.output.numpy()[:count], dtype=np.float32)  # a copy: the next call overwrites it

    def _bucket(self, number: int, size: int, manifest: Manifest) -> _Bucket:
        make = ort.OrtValue.ortvalue_from_shape_and_type
        taken = make([size, *manifest.pixels.shape], manifest.pixels.dtype, *self._device)
        given = make([size, len(manifest.classes)], np.float32, *self._device)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(manifest.input, taken)
        binding.bind_ortvalue_output(manifest.output, given)
        options = ort.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(number))  # 0 is ONNX Runtime's own
        return _Bucket(size, taken, given, binding, options)
