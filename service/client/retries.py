"""When to ask again, and how often at most: pauses by chance, and a budget for all requests of a client together.

Knows no request and no clock.
"""

import math
from dataclasses import dataclass

# A balancer's word for a lost connection to the service, no room now, nobody ready now.
PASSING = {429, 502, 503}


@dataclass(frozen=True, slots=True)
class Retries:
    """How a request that met a passing refusal, or a lost connection, is repeated.

    Before the n-th repetition it pauses for a time between 0 and `first_s` * 2^(n-1), but `longest_s` at most, and
    for as long as the service said besides. All requests of a client have `burst` repetitions at first, then
    `per_second` and one for every 1 / `share` answers: whatever happens, no service is asked much more often for it.
    An attempt without an answer after `attempt_s` counts as a lost connection, of a machine that is gone without a
    word; models that take longer want more.
    """

    most: int = 10  # of one request; 0 for none
    first_s: float = 0.1
    longest_s: float = 5.0
    burst: int = 20
    per_second: float = 5.0
    share: float = 0.1
    attempt_s: float = 35.0  # a little more than a model's own deadline

    def pause_s(self, repetition: int, told_s: float | None, chance: float) -> float:
        """How long to wait before a repetition, the first being 1. told_s: Retry-After. chance: from 0 to 1."""
        spread = chance * min(self.longest_s, self.first_s * 2.0 ** (repetition - 1))
        return spread + (told_s or 0.0)


class Budget:
    """The repetitions that a client may still make. Times are those of one steady clock."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._left = float(retries.burst)  # below zero: they are promised, and come later
        self._seen: float | None = None

    def take(self, now: float) -> float:
        """Take one: after how many seconds it is there."""
        self._refill(now)
        self._left -= 1
        if self._left >= 0:
            return 0.0
        return -self._left / self._retries.per_second if self._retries.per_second else math.inf

    def give_back(self) -> None:
        """Nobody waits for the last one that was taken."""
        self._left += 1

    def earn(self) -> None:
        """A request was answered."""
        self._left = min(float(self._retries.burst), self._left + self._retries.share)

    def _refill(self, now: float) -> None:
        gained = 0.0 if self._seen is None else (now - self._seen) * self._retries.per_second
        self._left = min(float(self._retries.burst), self._left + gained)
        self._seen = now
