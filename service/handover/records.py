"""What the doorbell says: orders from a front end to the owner of the models, outcomes back. Small, binary, checked.

A number is given to one order only, for as long as the two processes know each other: an outcome can be taken for no
other order's, wherever its slot has gone since.
"""

import math
import struct
from collections.abc import Iterator
from typing import NamedTuple

from service import errors
from service.errors import ServiceError

_ORDER = struct.Struct("<BBHIIQQd")  # kind, length of the key's name, level, stand, images, number, slot, deadline
_OUTCOME = struct.Struct("<BBHIQdd")  # kind, error, length of its words, images of the call, number, two times
_RUN, _LEAVE, _DONE = range(3)
_MOST_WORDS = 2000

# By their place: a front end raises what the owner raised.
_ERRORS: tuple[type[ServiceError], ...] = (
    errors.ServiceError,
    errors.TooManyImages,
    errors.Overloaded,
    errors.ModelFailed,
    errors.DeviceLost,
    errors.OutOfMemory,
    errors.NotReady,
    errors.Draining,
    errors.DeadlineExceeded,
)
_LEFT = 255  # its caller had left


class SlotOrder(NamedTuple):
    """A request to run what lies in a slot. stand: the version. level: of priority. deadline: by time.monotonic(),
    which all processes of a machine share. images: 0 where the caller of that number has left."""

    number: int
    stand: int = 0
    images: int = 0
    slot: int = 0
    level: int = 1
    deadline: float = 0.0
    key: str = ""

    def packed(self) -> bytes:
        """As it travels."""
        key = self.key.encode()
        kind = _RUN if self.images else _LEAVE
        return (
            _ORDER.pack(kind, len(key), self.level, self.stand, self.images, self.number, self.slot, self.deadline)
            + key
        )


class SlotOutcome(NamedTuple):
    """What became of an order. Where there is no error, logits lie in the slot. left: its caller had gone.

    run_s: of the call. batch_size: images of the call.
    """

    number: int
    batch_size: int = 0
    run_s: float = 0.0
    error: ServiceError | None = None
    left: bool = False

    def packed(self) -> bytes:
        """As it travels."""
        error = self.error
        if error is None:
            return _OUTCOME.pack(_DONE, _LEFT if self.left else 0, 0, self.batch_size, self.number, self.run_s, 0.0)
        words = error.message.encode()[:_MOST_WORDS]
        retry = math.nan if error.retry_after_s is None else error.retry_after_s
        return _OUTCOME.pack(_DONE, _place(error), len(words), 0, self.number, 0.0, retry) + words


def orders(message: bytes) -> Iterator[SlotOrder]:
    """The orders of a message. Raises ValueError for what is none."""
    place = 0
    while place < len(message):
        try:
            kind, length, level, stand, images, number, slot, deadline = _ORDER.unpack_from(message, place)
        except struct.error as wrong:
            raise ValueError(f"{len(message) - place} bytes that are no order") from wrong
        place += _ORDER.size + length
        if kind not in {_RUN, _LEAVE} or (kind == _RUN) != bool(images) or place > len(message):
            raise ValueError(f"an order of kind {kind} for {images} images")
        yield SlotOrder(number, stand, images, slot, level, deadline, message[place - length : place].decode())


def outcomes(message: bytes) -> Iterator[SlotOutcome]:
    """The outcomes of a message. Raises ValueError for what is none."""
    place = 0
    while place < len(message):
        try:
            kind, what, length, batch, number, run_s, retry = _OUTCOME.unpack_from(message, place)
        except struct.error as wrong:
            raise ValueError(f"{len(message) - place} bytes that are no outcome") from wrong
        place += _OUTCOME.size + length
        if kind != _DONE or place > len(message) or (what > len(_ERRORS) and what != _LEFT):
            raise ValueError(f"an outcome of kind {kind}, {what}")
        if not what or what == _LEFT:
            yield SlotOutcome(number, batch, run_s, None, bool(what))
        else:
            words = message[place - length : place].decode(errors="replace")
            error = _ERRORS[what - 1](words, retry_after_s=None if math.isnan(retry) else retry)
            yield SlotOutcome(number, error=error)


def _place(error: ServiceError) -> int:
    """The nearest kind of error that is on the list, from 1."""
    return 1 + next(_ERRORS.index(kind) for kind in type(error).__mro__ if kind in _ERRORS)
