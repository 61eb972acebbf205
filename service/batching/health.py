"""The health of a version's instances: which of them answer, and why the others do not.

Knows no queue: whoever runs the calls notes what becomes of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_NEVER = 10  # a call this many times older than it may be will not return; only a new process helps


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What the calls of one instance may do before it takes no more work. Times are in seconds."""

    failures: int = 5  # calls in a row that may fail before it must answer a sample first
    call_seconds: float = 30.0  # of one call; an older one is taken for hung
    retry_seconds: float = 1.0  # from one sample that failed to the next
    log_seconds: float = 10.0  # least time between two traces in the log


@dataclass(frozen=True, slots=True)
class InstanceHealth:
    """How many instances there are, how many take work, why the first of the others does not.

    alive: False once an instance is beyond help within this process.
    """

    instances: int
    sound: int
    trouble: str = ""
    alive: bool = True


class Pulse:
    """What one instance is at: written by its thread alone, read from any."""

    __slots__ = ("began", "lost", "trouble")

    def __init__(self) -> None:
        self.began: float | None = None  # its call, by time.monotonic()
        self.trouble = ""  # why it takes no work
        self.lost = False  # it never will again

    def age(self, now: float) -> float:
        """Seconds since its call began; 0 between two calls."""
        began = self.began
        return 0.0 if began is None else now - began


def examine(pulses: Sequence[Pulse], limits: CallLimits, now: float) -> InstanceHealth:
    """The health of a version from the pulses of its instances."""
    troubles = [_trouble(pulse, limits, now) for pulse in pulses]
    return InstanceHealth(
        len(pulses),
        troubles.count(""),
        next((trouble for trouble in troubles if trouble), ""),
        not any(pulse.lost or pulse.age(now) > _NEVER * limits.call_seconds for pulse in pulses),
    )


def _trouble(pulse: Pulse, limits: CallLimits, now: float) -> str:
    if pulse.trouble:
        return pulse.trouble
    if pulse.age(now) > limits.call_seconds:
        return f"a model call has not returned within {limits.call_seconds:g} s"
    return ""
