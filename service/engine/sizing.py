"""How many sessions of a version run side by side where nobody says so: it depends on how long one image takes.

On CPUs one session of many threads answers a heavy model's image soonest, and loses nothing under load. A light model's
call is over before its threads have met, so sessions of one thread each do more; while one computes, another's images
are decoded.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from service.runtime import Backend, Placement

_LIGHT_SECONDS = 0.001  # of one image on one thread
_TRIES = 5
_MOST = 4  # light sessions; one interpreter keeps no more of them busy


def open_side_by_side(
    open_on: Callable[[Placement], Backend], placement: Placement, instances: int | None
) -> tuple[Backend, ...]:
    """A version's sessions, on each device. instances: how many; None to choose by measurement."""
    if instances is not None or not placement.first.on_cpu or placement.threads == 1:
        return tuple(open_on(device) for device in placement.each() for _ in range(instances or 1))
    alone = replace(placement, threads=1)
    first = open_on(alone)
    if not _is_light(first):
        return (open_on(placement),)
    return (first, *(open_on(alone) for _ in range(min(_MOST, placement.threads) - 1)))


def _is_light(session: Backend) -> bool:
    """True if an image is soon done; the best of a few tries counts, whatever else the machine does."""
    session.warm_up((1,))
    for _ in range(_TRIES):
        started = time.perf_counter()
        session.warm_up((1,))
        if time.perf_counter() - started <= _LIGHT_SECONDS:
            return True
    return False
