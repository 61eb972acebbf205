"""What became of a version's requests, counted as the statistics extension of the inference protocol counts it.

Requests are noted on the event loop, model calls in the instances' threads.
"""

import threading
import time
from dataclasses import dataclass, field

from service.telemetry.exchange import Answered


@dataclass(frozen=True, slots=True)
class Total:
    """How often something was measured, and the sum in nanoseconds."""

    count: int = 0
    ns: int = 0

    def plus(self, seconds: float) -> "Total":
        """With one more measurement."""
        return Total(self.count + 1, self.ns + round(seconds * 1e9))


@dataclass(frozen=True, slots=True)
class Figures:
    """Totals since the version was loaded.

    success, fail: requests, whole. queue, compute_input, compute_infer, compute_output: of each request that succeeded,
    waiting, decoding and preparing, the model call it travelled in, writing the answer.
    images: of requests that succeeded. last_ms: when the last request came to its end, milliseconds since 1970; 0 for
    never. batches: model calls by their number of images.
    """

    success: Total = Total()
    fail: Total = Total()
    queue: Total = Total()
    compute_input: Total = Total()
    compute_infer: Total = Total()
    compute_output: Total = Total()
    images: int = 0
    last_ms: int = 0
    batches: dict[int, Total] = field(default_factory=dict)


_OF_SUCCESS = ("success", "queue", "compute_input", "compute_infer", "compute_output")


class Tally:
    """The running totals of one version."""

    def __init__(self) -> None:
        self._sums = dict.fromkeys(_OF_SUCCESS, 0.0)  # seconds
        self._succeeded = self._failed = self._images = self._last_ms = 0
        self._failed_s = 0.0
        self._batches: dict[int, Total] = {}
        self._lock = threading.Lock()

    def succeeded(self, answered: Answered) -> None:
        """Note a request that was answered."""
        sums = self._sums
        sums["success"] += answered.total_s
        sums["queue"] += answered.queue_s
        sums["compute_input"] += answered.decode_s
        sums["compute_infer"] += answered.inference_s
        sums["compute_output"] += answered.output_s
        self._succeeded += 1
        self._images += answered.images
        self._last_ms = _now_ms()

    def failed(self, total_s: float) -> None:
        """Note a request that got an error, or whose caller left."""
        self._failed += 1
        self._failed_s += total_s
        self._last_ms = _now_ms()

    def ran(self, images: int, seconds: float) -> None:
        """Note a model call; from any thread."""
        with self._lock:
            self._batches[images] = self._batches.get(images, Total()).plus(seconds)

    def figures(self) -> Figures:
        """The totals now."""
        with self._lock:
            batches = dict(sorted(self._batches.items()))
        return Figures(
            **{name: Total(self._succeeded, round(seconds * 1e9)) for name, seconds in self._sums.items()},
            fail=Total(self._failed, round(self._failed_s * 1e9)),
            images=self._images,
            last_ms=self._last_ms,
            batches=batches,
        )


def _now_ms() -> int:
    return round(time.time() * 1000)
