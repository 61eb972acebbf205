"""A backend whose versions hang as they warm up, until the test lets them go on: a load that does not end by itself."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def publish_held(root: Path, name: str) -> Path:
    """A version of the colour model that this backend runs."""
    return as_weights(publish_colours(root, name))
