"""A request at a front end: its images are decoded into a slot, and the owner of the models answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.decoding import Loan, Preparation
from service.engine import ANYBODY, Caller, VersionFacts, with_times
from service.errors import too_many
from service.handover.parcel import Parcel
from service.handover.slots import Slot
from service.handover.stands import Stands
from service.ranking import Ranked
from service.telemetry import Answered


class _Both:
    """A slot, and the images that are decoded into it: whoever decodes holds the two together."""

    def __init__(self, slot: Slot, images: Loan | None) -> None:
        self._loans: tuple[Loan, ...] = (slot,) if images is None else (slot, images)

    def hold(self) -> None:
        """One more uses them."""
        for loan in self._loans:
            loan.hold()

    def drop(self) -> None:
        """One less does."""
        for loan in self._loans:
            loan.drop()


class _Copied:
    """Rows that are there already, to be copied into their slot."""

    def __init__(self, rows: NDArray[Any], slot: Slot) -> None:
        self._rows = rows
        self._slot = slot
        slot.hold()

    def make(self, rows: NDArray[Any]) -> None:
        """Copy them."""
        try:
            np.copyto(rows, self._rows, casting="no")
        finally:
            self.forget()

    def forget(self) -> None:
        """Nobody waits for them."""
        self._slot.drop()


class RemoteVisit:
    """A request that was let in to a version of the owners'; the promises are those of `door.Visit`."""

    def __init__(self, stands: Stands, preparation: Preparation, max_images: int) -> None:
        self._stands = stands
        self._preparation = preparation
        self._max_images = max_images
        self.facts: VersionFacts = stands.facts
        self.succeeded = False

    async def submit(
        self,
        images: Sequence[bytes],
        priority: int = 0,
        timeout_s: float | None = None,
        caller: Caller = ANYBODY,
        loan: Loan | None = None,
        best: int = 0,
    ) -> tuple[Ranked, Answered]:
        """Take a slot for encoded images, decode them into it, have them run in company. Cancelling it frees the
        slot."""
        pixels, model = self.facts.manifest.pixels, self.facts.name
        with self._parcel(len(images), priority, timeout_s, caller, best) as parcel:
            both = _Both(parcel.slot, loan)
            if quick := self._preparation.quick(images, pixels, self._stands.kind, both):
                parcel.make(quick)
                answer = await parcel.answer()
                return with_times(self.facts, answer, answer.made_s)
            with self._preparation.start(parcel, images, pixels, model, caller.key, both, parcel.rows) as job:
                answer = await parcel.answer()
        return with_times(self.facts, answer, job.decode_s)

    async def submit_rows(
        self,
        rows: NDArray[Any],
        priority: int = 0,
        timeout_s: float | None = None,
        caller: Caller = ANYBODY,
        best: int = 0,
    ) -> tuple[Ranked, Answered]:
        """The same for rows of the model's input, (images, height, width, channels) of its own dtype."""
        with self._parcel(len(rows), priority, timeout_s, caller, best) as parcel:
            parcel.make(_Copied(rows, parcel.slot))
            answer = await parcel.answer()
        return with_times(self.facts, answer, 0.0)

    def note(self, answered: Answered) -> None:
        """Tell everybody who counts of an answered request."""
        self.succeeded = True
        self._stands.note(answered)

    def _parcel(self, images: int, priority: int, timeout_s: float | None, caller: Caller, best: int) -> Parcel:
        if images > self._max_images:
            raise too_many(images, self._max_images)
        return self._stands.parcel(images, priority, timeout_s, caller.most_urgent, caller.key, best)
