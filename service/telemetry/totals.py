"""What became of a version's requests, counted as the statistics extension of the inference protocol counts it.

Requests are noted on the event loop, model calls in the instances' threads.
"""

import threading
import time
from dataclasses import dataclass, field, replace

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


class Tally:
    """The running totals of one version."""

    def __init__(self) -> None:
        self._figures = Figures()
        self._batches: dict[int, Total] = {}
        self._lock = threading.Lock()

    def succeeded(self, answered: Answered) -> None:
        """Note a request that was answered."""
        old = self._figures
        self._figures = replace(
            old,
            success=old.success.plus(answered.total_s),
            queue=old.queue.plus(answered.queue_s),
            compute_input=old.compute_input.plus(answered.decode_s),
            compute_infer=old.compute_infer.plus(answered.inference_s),
            compute_output=old.compute_output.plus(answered.output_s),
            images=old.images + answered.images,
            last_ms=_now_ms(),
        )

    def failed(self, total_s: float) -> None:
        """Note a request that got an error, or whose caller left."""
        self._figures = replace(self._figures, fail=self._figures.fail.plus(total_s), last_ms=_now_ms())

    def ran(self, images: int, seconds: float) -> None:
        """Note a model call; from any thread."""
        with self._lock:
            self._batches[images] = self._batches.get(images, Total()).plus(seconds)

    def figures(self) -> Figures:
        """The totals now."""
        with self._lock:
            batches = dict(sorted(self._batches.items()))
        return replace(self._figures, batches=batches)


def _now_ms() -> int:
    return round(time.time() * 1000)
