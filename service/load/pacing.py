"""When the requests of an open load are due: at random moments, fixed beforehand and kept whatever the service does.

On Linux the kernel's own timer wakes the event loop, to some hundredths of a millisecond. A loop's timers are a whole
millisecond wide, and a thread that sleeps must be given the interpreter twice for every request, which costs more than
sending it: so a thread keeps the moments only where there is no such timer.
"""

import asyncio
import contextlib
import ctypes
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from service.load.plan import LoadPlan

_NAP_S = 0.1  # longest sleep of a thread, which may be told to stop
_NANOSECONDS = 1_000_000_000
_SINCE_BOOT = 1  # CLOCK_MONOTONIC, which is perf_counter's clock too
_NOT_BLOCKING = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_AT_A_MOMENT = 1  # TFD_TIMER_ABSTIME

Due = Callable[[list[float]], None]  # is given the moments that have come
Done = Callable[[], None]  # is told once that no more will come


class Pacer(Protocol):
    """Keeps moments."""

    def start(self) -> None:
        """Begin, on the running loop; what is due is told there."""

    def stop(self) -> None:
        """Tell nothing any more."""


def pacer(moments: list[float], due: Due, done: Done) -> Pacer:
    """The most exact one that there is here."""
    try:
        return TimerPacer(KernelTimer(), moments, due, done)
    except OSError:
        return ThreadPacer(moments, due, done)


class _Moments:
    """Moments in their order, of which some have come."""

    def __init__(self, moments: list[float]) -> None:
        self._moments, self._come = moments, 0

    def come(self, now: float) -> list[float]:
        """Those that have come since this was asked last."""
        first = self._come
        while self._come < len(self._moments) and self._moments[self._come] <= now:
            self._come += 1
        return self._moments[first : self._come]

    def next(self) -> float | None:
        """The first that has not come; None where all have."""
        return self._moments[self._come] if self._come < len(self._moments) else None


class KernelTimer:
    """A timer of the kernel that makes a descriptor readable at a moment. Raises OSError where there is none."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("this system has no timers that are descriptors")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = self._checked(self._libc.timerfd_create(_SINCE_BOOT, _NOT_BLOCKING))

    def set(self, moment: float) -> None:
        """Ring at a moment of perf_counter, at once if it has passed."""
        seconds, rest = divmod(max(1, math.ceil(moment * _NANOSECONDS)), _NANOSECONDS)
        wanted = (ctypes.c_long * 4)(0, 0, seconds, rest)  # an itimerspec: no interval, and the moment
        self._checked(self._libc.timerfd_settime(self.descriptor, _AT_A_MOMENT, wanted, None))

    def silence(self) -> None:
        """It has rung, and was heard."""
        with contextlib.suppress(BlockingIOError):  # it was set again before
            os.read(self.descriptor, 8)

    def close(self) -> None:
        """Give its descriptor back."""
        os.close(self.descriptor)

    def _checked(self, result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result


class TimerPacer:
    """By a timer of the kernel, which is closed here."""

    def __init__(self, timer: KernelTimer, moments: list[float], due: Due, done: Done) -> None:
        self._timer: KernelTimer | None = timer
        self._moments, self._due, self._done = _Moments(moments), due, done

    def start(self) -> None:
        """Begin, on the running loop; what is due is told there."""
        self._loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._loop.add_reader(self._timer.descriptor, self._ring)
            self._wind(self._timer)

    def stop(self) -> None:
        """Tell nothing any more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            self._loop.remove_reader(timer.descriptor)
            timer.close()

    def _ring(self) -> None:
        if self._timer is not None:
            self._timer.silence()
            if come := self._moments.come(time.perf_counter()):
                self._due(come)
        if self._timer is not None:  # it was not stopped by what was due
            self._wind(self._timer)

    def _wind(self, timer: KernelTimer) -> None:
        if (moment := self._moments.next()) is not None:
            timer.set(moment)
        else:
            self.stop()
            self._done()


class ThreadPacer:
    """By a thread that sleeps until the next moment."""

    def __init__(self, moments: list[float], due: Due, done: Done) -> None:
        self._moments, self._due, self._done = _Moments(moments), due, done
        self._stopped = False

    def start(self) -> None:
        """Begin, on the running loop; what is due is told there."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._work, daemon=True, name="pacer").start()

    def stop(self) -> None:
        """Tell nothing any more."""
        self._stopped = True

    def _work(self) -> None:
        while not self._stopped and (moment := self._moments.next()) is not None:
            now = time.perf_counter()
            if moment > now:
                time.sleep(min(moment - now, _NAP_S))
            elif not self._tell(self._due, self._moments.come(now)):
                return
        self._tell(self._done)

    def _tell(self, what: Callable[..., None], *given: object) -> bool:
        """Have the loop call it; False where the loop has ended meanwhile, and nobody is there to be told."""
        try:
            self._loop.call_soon_threadsafe(what, *given)
        except RuntimeError:
            if self._loop.is_closed():
                return False
            raise
        return True


def arrivals(plan: LoadPlan, rate: float, now: float, end: float, begin: float) -> list[float]:
    """Moments of a Poisson process from now to the end, or until so many of them are in what is measured."""
    most = plan.most_requests
    wanted = rate * (begin - now) + most if most is not None else math.inf
    expected = min(rate * (end - now), wanted)
    # Ten standard deviations more than are expected: never too few.
    gaps = np.random.default_rng(plan.seed).exponential(1 / rate, int(expected + 10 * math.sqrt(expected) + 50))
    moments = now + np.cumsum(gaps)
    moments = moments[moments < end]
    if most is not None:
        moments = moments[: np.searchsorted(moments, begin) + most]
    return list(moments.tolist())
