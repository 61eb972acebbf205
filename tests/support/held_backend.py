"""Backends that wait for the test: versions that hang as they warm up, and model calls that are held and noted."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.runtime import Backend, Opening, backend, forget_backend
from tests.support.colours import publish_colours
from tests.support.toy_backend import NumpyBackend, as_weights, takes

PATIENCE_S = 60
Gates = dict[str, threading.Event]


@contextmanager
def holding(*models: str) -> Iterator[Gates]:
    """While this lasts, every load of a version of weights hangs until the gate of its model is set."""
    gates = {model: threading.Event() for model in models}

    class Held(NumpyBackend):
        def __init__(self, opening: Opening) -> None:
            manifest = opening.manifest
            super().__init__(opening.folder / opening.variant.file, manifest.pixels.shape, len(manifest.classes))
            self._gate = gates[manifest.name]

        def warm_up(self, batches: tuple[int, ...]) -> None:
            assert self._gate.wait(PATIENCE_S)
            super().warm_up(batches)

    @backend("held", takes)
    def open_held(opening: Opening) -> Backend:
        return Held(opening)

    try:
        yield gates
    finally:
        for gate in gates.values():
            gate.set()
        forget_backend("held")


class Calls:
    """Model calls while `gate` is not set wait for it. ran: of each session the colours that it was asked, in order."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.ran: dict[int, list[int]] = {}

    def hold(self) -> None:
        """Hold every call from now on, and forget those that were."""
        self.ran = {}
        self.gate.clear()


@contextmanager
def holding_calls() -> Iterator[Calls]:
    """While this lasts, versions of weights are run by a backend whose calls can be held."""
    calls = Calls()

    class Held(NumpyBackend):
        def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
            found = super().run(images)
            calls.ran.setdefault(id(self), []).extend(found.argmax(axis=1).tolist())
            assert calls.gate.wait(PATIENCE_S)
            return found

    @backend("held calls", takes)
    def open_held(opening: Opening) -> Backend:
        manifest = opening.manifest
        return Held(opening.folder / opening.variant.file, manifest.pixels.shape, len(manifest.classes))

    try:
        yield calls
    finally:
        calls.gate.set()
        forget_backend("held calls")


def publish_held(root: Path, name: str) -> Path:
    """A version of the colour model that these backends run."""
    return as_weights(publish_colours(root, name))
