"""A request of a front end on its way to the owner of the models, and back: its slot, its deadline, its one answer."""

import asyncio
from types import TracebackType
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from service.batching import Answer
from service.errors import DeadlineExceeded
from service.handover.records import SlotOrder
from service.handover.slots import Slot
from service.handover.stand import Stand

_WORD_SECONDS = 1.0  # beyond the deadline, for the owner's word on what it was told of


class Makes(Protocol):
    """Rows that are yet to be made: `make` is called, or `forget`, and that once."""

    def make(self, rows: NDArray[Any], /) -> None:
        """Write them. Raises a ServiceError."""

    def forget(self) -> None:
        """Nobody waits for them."""


class Carrier(Protocol):
    """Who takes parcels to the owner."""

    def make(self, parcel: "Parcel", rows: Makes) -> None:
        """Have its rows made, and send it."""

    def send(self, parcel: "Parcel") -> None:
        """Tell the owner of it; from any thread."""

    def leave(self, parcel: "Parcel") -> None:
        """Nobody waits for it any more; on the loop."""

    def settle_soon(self, parcel: "Parcel", error: Exception) -> None:
        """Settle it on the loop; from any thread."""


class Parcel:
    """A seat for so many images, and a slot for their rows. Leaving the `with` block gives everything back, as soon as
    the owner, and whoever still decodes, have let go of it.

    Takes the place of a ticket where images are decoded. rank: as a ticket's. sent: when the owner was told of it; 0
    while it was not. made_s: in which its rows were made, where the carrier makes them.
    """

    __slots__ = (
        "_carrier",
        "_future",
        "_patience_s",
        "_timer",
        "best",
        "images",
        "left",
        "made_s",
        "number",
        "order",
        "rank",
        "rows",
        "sent",
        "slot",
        "stand",
    )

    def __init__(
        self,
        carrier: Carrier,
        order: SlotOrder,
        stand: Stand,
        slot: Slot,
        rows: NDArray[Any],
        patience_s: float,
        best: int,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._carrier = carrier
        self._future: asyncio.Future[Answer] = loop.create_future()
        self._timer = loop.call_later(patience_s, self._expire)
        self._patience_s = patience_s
        self.order = order
        self.number, self.images = order.number, order.images
        self.rank = order.level - stand.facts.policy.default_priority
        self.stand = stand
        self.slot = slot
        self.rows = rows
        self.best = best
        self.sent = self.made_s = 0.0
        self.left = False

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for the answer."""
        return self._future.done()

    def make(self, rows: Makes) -> None:
        """Have its rows made, and send it; once."""
        self._carrier.make(self, rows)

    def submit(self, _: object = None) -> None:
        """Its rows are in the slot: send it; from any thread, once."""
        self._carrier.send(self)

    def fail(self, error: Exception) -> None:
        """Settle it with an error, from any thread."""
        self._carrier.settle_soon(self, error)

    async def answer(self) -> Answer:
        """Wait for the answer. Raises what it was settled with instead."""
        return await self._future

    def settle(self, answer: Answer | Exception) -> None:
        """Give the caller the answer, if it still waits for one. On the loop only."""
        if self._future.done():
            return
        if isinstance(answer, Answer):
            self._future.set_result(answer)
            return
        if isinstance(answer, DeadlineExceeded):
            answer = self._too_late()  # in the words of who set the deadline
        self._future.set_exception(answer)
        self._future.exception()  # a caller that left never looks at it; that is no news

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if not self.sent and (self._future.cancelled() or not self._future.done()):
            self.stand.ledger.cancelled += 1  # else the owner counts it
        self._future.cancel()
        self._carrier.leave(self)

    def _expire(self, again: bool = False) -> None:
        """Too late. What the owner was told of it settles, and counts, itself, unless it hangs."""
        if self._future.done():
            return
        if self.sent and not again:
            self._timer = asyncio.get_running_loop().call_later(_WORD_SECONDS, self._expire, True)
            return
        self.stand.ledger.expired += 1
        self.settle(self._too_late())

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"no answer within {self._patience_s * 1000:g} ms")
