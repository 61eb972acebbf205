"""What was measured on this machine before, so that a layer or a network of the same shape is not measured again."""

import hashlib
import json
import math
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeGuard

from onnx import ModelProto, TensorProto

from export.errors import ExportError
from export.layout.convolution import Convolution

Times = dict[str, list[float]]  # form -> seconds of a call, for each batch

BATCHES = (1, 8)  # what a lone caller and what many callers make of the service
FILE = "layouts.json"
_SCHEMA = 1


class Memory:
    """Times by device and shape, in one file. What cannot be read counts as never measured."""

    def __init__(self, path: Path, device: str) -> None:
        self._path, self._device = path, device

    def times(self, shape: str) -> Times | None:
        """The times of every form of such a layer; None where it was never measured, or what stands there is none."""
        found = self._read().get(self._device, {}).get(shape)
        return found if _are_times(found) else None

    def keep(self, shape: str, times: Times) -> None:
        """Remember times. Raises ExportError where the file cannot be written."""
        known = self._read()
        known.setdefault(self._device, {})[shape] = times
        written = json.dumps({"schema_version": _SCHEMA, "devices": known}, indent=1) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._replace(written)
        except OSError as error:
            raise ExportError(
                f"{self._path}: cannot be written: {error.strerror or error}. What layers take is kept there: make "
                "room, or name another folder in HARMONIC_CACHE."
            ) from error

    def _replace(self, written: str) -> None:
        # Several exports may write at once: each has a file of its own until that takes the name.
        with NamedTemporaryFile("w", dir=self._path.parent, suffix=".part", delete=False) as part:
            try:
                part.write(written)
                part.close()
                Path(part.name).replace(self._path)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict) or found.get("schema_version") != _SCHEMA:
            return {}
        devices = found.get("devices")
        entries = devices.items() if isinstance(devices, dict) else ()
        return {device: own for device, own in entries if isinstance(own, dict)}


def _are_times(found: Any) -> TypeGuard[Times]:
    """Whether something read is seconds, or shares of them, for every batch."""
    return (
        isinstance(found, dict)
        and bool(found)
        and all(isinstance(each, list) and len(each) == len(BATCHES) for each in found.values())
        and all(isinstance(one, float | int) and 0 < one < math.inf for each in found.values() for one in each)
    )


def shape(convolution: Convolution, *, tiles: bool = False) -> str:
    """All of a convolution that its speed depends on, as text. tiles: whether those are among the forms."""
    filters = "+".join(f"{u}{v}" if max(u, v) < 10 else f"{u}-{v}" for u, v in convolution.span.frequencies)
    (down, across), (rows, columns) = convolution.span.filters.shape[1:], convolution.size
    geometry, bands = convolution.geometry, convolution.span.bands
    held = f" in {int(bands.sum())} bands of {int(bands.any(axis=1).sum())} channels" if convolution.scattered else ""
    return (
        f"{convolution.inputs}->{convolution.outputs} at {rows}x{columns}, {convolution.span.bank} {down}x{across} "
        f"{filters}{held}, strides {geometry.strides}, pads {geometry.pads}, dilations {geometry.dilations}, "
        f"groups {convolution.groups}, {'with' if convolution.bias is not None else 'no'} bias"
        f"{', with tiles' if tiles else ''}"
    )


def structure(model: ModelProto) -> str:
    """All of a network that its speed depends on, as a short text: its graph, and of its weights the shapes alone."""
    graph, digest = model.graph, hashlib.sha256()
    for part in (*graph.input, *graph.node, *graph.output):
        digest.update(part.SerializeToString(deterministic=True))
    for weights in graph.initializer:
        whole = weights.data_type != TensorProto.FLOAT  # whole numbers are shapes and axes
        said = weights.SerializeToString(deterministic=True) if whole else f"{weights.name} {weights.dims}".encode()
        digest.update(said)
    return f"network {digest.hexdigest()[:32]}"
