"""What runs a version: the protocol of a backend, and the list of those there are. Knows none of them.

A new one is a file with a class and a function that is marked `@backend`; see docs/extending.md.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.manifest import Manifest, Variant
from service.errors import ServiceError
from service.runtime.choice import AS_EXPORTED, Running
from service.runtime.placement import Placement


class SessionError(ServiceError):
    """A version that a backend does not open, or that is not what its manifest says."""


class Backend(Protocol):
    """A version, open on one device. Calls may come from any thread, and several at once."""

    @property
    def provider(self) -> str:
        """What really runs it, by the name that `/v1/models` and the metrics show."""

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Memory to fill with images, as `numpy.empty` would give it, from where `run` has them soonest.

        What lies in it behind the images of a call is the backend's to write over. It outlives the backend.
        """

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """images: (n, height, width, channels), of the manifest's dtype, n from 1 to the opening's `largest`.

        They may lie anywhere; a `buffer` is filled from its beginning. Returns the logits, (n, classes), in memory that
        no later call changes; `images` stay as they are. An image's answer does not depend on the others. Blocks; while
        it computes, other threads of Python should go on.
        Raises DeviceLost where only a new process helps; whatever else it raises counts as a failed call.
        """

    def warm_up(self, batches: tuple[int, ...]) -> None:
        """Get ready for batches of these sizes, so that no caller pays for the first call."""

    def follow_traffic(self) -> None:
        """Called once it was held against its goldens: from here on what adapts may adapt."""

    def reset(self) -> None:
        """Forget what was adapted."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What shall be opened: a variant of the version in `folder`, on one device.

    largest: images in one call. running: whether a norm may follow the traffic, and how far.
    """

    folder: Path
    manifest: Manifest
    variant: Variant
    placement: Placement
    largest: int
    running: Running = AS_EXPORTED


Open = Callable[[Opening], Backend]
_backends: dict[str, tuple[Callable[[Opening], bool], Open]] = {}


def backend(name: str, takes: Callable[[Opening], bool]) -> Callable[[Open], Open]:
    """Register a function that opens versions. takes: which of them are its own; exactly one backend takes each.

    The function raises SessionError for a version that cannot be opened, StartError for a device that cannot be had.
    """

    def register(open_it: Open) -> Open:
        if name in _backends:
            raise ValueError(f"there is a backend {name!r} already; choose another name")
        _backends[name] = (takes, open_it)
        return open_it

    return register


def forget_backend(name: str) -> None:
    """Take a backend off the list."""
    del _backends[name]


def open_backend(opening: Opening) -> Backend:
    """Open a version with the backend whose own it is.

    Raises SessionError where that is none or more than one, and what the backend raises.
    """
    own = [name for name, (takes, _) in _backends.items() if takes(opening)]
    if len(own) != 1:
        which = f"{', '.join(own)} all take" if own else f"none of {', '.join(_backends)} takes"
        raise SessionError(f"{opening.folder}: {which} its {opening.variant.file}; exactly one backend must.")
    return _backends[own[0]][1](opening)
