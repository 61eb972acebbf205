"""One HTTP exchange: its id, its place in a trace, what was done for it. Knows no framework and no exporter."""

import os
import re
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")  # nothing that could break a header or a log line
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16


@dataclass(slots=True)  # not frozen: each request makes three, and a frozen one takes three times as long
class Answered:
    """An answered request: who answered, in what company, and where its time went, in seconds.

    batch_size: images of the model call, others' included. decode_s: from admission until its images were decoded and
    prepared. queue_s: waiting for the call. inference_s: the call. output_s: writing the answer. total_s: from the
    request's head to the answer as written. ended, ended_ns: when the logits were there, by time.monotonic() and by
    the wall clock.
    """

    model: str
    version: int
    images: int
    batch_size: int
    decode_s: float
    queue_s: float
    inference_s: float
    output_s: float = 0.0
    total_s: float = 0.0
    ended: float = field(default_factory=time.monotonic)
    ended_ns: int = field(default_factory=time.time_ns)

    def written(self, started: float) -> "Answered":
        """Now that the answer is written, to a request that began at `started`."""
        now = time.monotonic()
        return Answered(
            self.model,
            self.version,
            self.images,
            self.batch_size,
            self.decode_s,
            self.queue_s,
            self.inference_s,
            now - self.ended,
            now - started,
            self.ended,
            self.ended_ns,
        )


@dataclass(slots=True)
class Exchange:
    """A request from its head to its answer. trace_id, span_id: hexadecimal, None without a trace."""

    request_id: str
    trace_id: str | None = None
    span_id: str | None = None
    started: float = field(default_factory=time.monotonic)
    status: int = 0  # until the answer begins
    answered: Answered | None = None

    def seconds(self) -> float:
        """Since the request's head."""
        return time.monotonic() - self.started

    def server_timing(self) -> bytes:
        """The value of the header Server-Timing: durations in milliseconds, and the size of the batch."""
        total = b"total;dur=%.3f" % (self.seconds() * 1000)
        found = self.answered
        if found is None:
            return total
        parts = (found.decode_s * 1000, found.queue_s * 1000, found.inference_s * 1000, found.batch_size)
        return b'decode;dur=%.3f, queue;dur=%.3f, inference;dur=%.3f, batch;desc="%d", ' % parts + total


class _Ids:
    """Random ids, 16 hexadecimal digits each; the system is asked for many at once."""

    _BYTES, _MANY = 8, 256

    def __init__(self) -> None:
        self._left: list[str] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._left.clear)  # or two processes would give the same ones

    def next(self) -> str:
        """One that nobody had."""
        if not self._left:
            digits = os.urandom(self._BYTES * self._MANY).hex()
            step = 2 * self._BYTES
            self._left.extend(digits[start : start + step] for start in range(0, len(digits), step))
        return self._left.pop()


_IDS = _Ids()
_CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)


def current() -> Exchange | None:
    """The exchange that this task works for, if it works for one."""
    return _CURRENT.get()


def remember(answered: Answered) -> None:
    """Tell the exchange that this task works for, if it works for one, what was done for it."""
    if exchange := current():
        exchange.answered = answered


def begin(headers: Iterable[tuple[bytes, bytes]]) -> Exchange:
    """The exchange of a request with these headers (names in lower case); this task works for it from now on.

    X-Request-Id is kept if it is 1 to 128 harmless characters, else one is made. A traceparent that breaks the rules
    of W3C Trace Context is as good as none.
    """
    request_id, trace = b"", None
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value
        elif name == b"traceparent":
            trace = _trace(value)
    exchange = Exchange(request_id.decode() or _IDS.next())
    if trace is not None:
        exchange.trace_id, exchange.span_id = trace
    _CURRENT.set(exchange)
    return exchange


def _trace(value: bytes) -> tuple[str, str] | None:
    found = _TRACEPARENT.fullmatch(value)
    if found is None:
        return None
    version, trace, span, _, rest = found.groups()
    if version == b"ff" or (version == b"00" and rest is not None) or trace == _NO_TRACE or span == _NO_SPAN:
        return None
    return trace.decode(), span.decode()
