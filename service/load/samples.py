"""What became of every request, exactly: no histogram, no sketch. Times are seconds of the monotonic clock."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Outcomes are HTTP statuses, and below them what has none.
TIMEOUT, REFUSED, LOST, WRONG = 0, 1, 2, 3
WITHOUT_STATUS = {TIMEOUT: "timeout", REFUSED: "refused", LOST: "lost", WRONG: "wrong"}


class Recorder:
    """Grows while a load runs: one entry in each array for every request that came to an end."""

    def __init__(self) -> None:
        self._intended, self._sent, self._ended = array("d"), array("d"), array("d")
        self._outcome, self._held = array("H"), array("B")

    def add(self, intended: float, sent: float, ended: float, outcome: int, *, held: bool = False) -> None:
        """held: it had to wait for a connection."""
        self._intended.append(intended)
        self._sent.append(sent)
        self._ended.append(ended)
        self._outcome.append(outcome)
        self._held.append(held)

    def samples(self, start: int = 0) -> "Samples":
        """All entries, or those from one on."""
        return Samples(
            np.array(self._intended[start:], np.float64),
            np.array(self._sent[start:], np.float64),
            np.array(self._ended[start:], np.float64),
            np.array(self._outcome[start:], np.uint16),
            np.array(self._held[start:], np.bool_),
        )

    def __len__(self) -> int:
        return len(self._intended)


@dataclass(frozen=True, slots=True)
class Samples:
    """The entries of one or of several processes, whose clocks are the same."""

    intended: NDArray[np.float64]
    sent: NDArray[np.float64]
    ended: NDArray[np.float64]
    outcome: NDArray[np.uint16]
    held: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.intended)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which were answered with success."""
        return (self.outcome >= 200) & (self.outcome < 300)

    @property
    def latency(self) -> NDArray[np.float64]:
        """From the moment a request was meant to be sent, so that a stalled service is not spared its queue."""
        return self.ended - self.intended

    @property
    def late(self) -> NDArray[np.float64]:
        """How long after its moment each was sent."""
        return self.sent - self.intended

    def only(self, chosen: NDArray[np.bool_]) -> "Samples":
        """Those entries that are chosen."""
        return Samples(
            self.intended[chosen], self.sent[chosen], self.ended[chosen], self.outcome[chosen], self.held[chosen]
        )


def merge(parts: Sequence[Samples]) -> Samples:
    """The samples of several processes."""
    return Samples(
        np.concatenate([part.intended for part in parts]),
        np.concatenate([part.sent for part in parts]),
        np.concatenate([part.ended for part in parts]),
        np.concatenate([part.outcome for part in parts]),
        np.concatenate([part.held for part in parts]),
    )
