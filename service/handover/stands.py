"""A version at every owner that has it: a request goes to the one that has the fewest images of this front end's, and
where several have as few, to each in turn."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from service.engine import VersionFacts
from service.errors import NotReady, Overloaded, ServiceError
from service.handover.depot import Depot
from service.handover.parcel import Parcel
from service.handover.stand import Ledger, Stand
from service.telemetry import Answered

At = tuple[Depot, Stand]
T = TypeVar("T")


class Stands:
    """One version. facts: as the whole service has it. at: the owners that have it, and its stand at each; not empty.
    They take the same rows."""

    def __init__(self, facts: VersionFacts, at: tuple[At, ...]) -> None:
        self.facts = facts
        self._at = at
        self._turn = 0
        stand = at[0][1]
        self.ledger: Ledger = stand.ledger
        self.kind = stand.kind

    @contextmanager
    def visited(self) -> Iterator[None]:
        """Have every owner keep the version until the visit has ended."""
        for _, stand in self._at:
            stand.visits += 1
        try:
            yield
        finally:
            for depot, stand in self._at:
                stand.visits -= 1
                depot.let_go(stand)

    def check(self) -> None:
        """Raise what `parcel` would raise now of one image, but for memory: NotReady, Overloaded."""
        self._first_of(self._at, lambda depot, stand: depot.carriage.check(stand))

    def parcel(
        self,
        images: int,
        priority: int,
        timeout_s: float | None,
        most_urgent: int | None,
        key: str,
        best: int,
    ) -> Parcel:
        """A seat and a slot for so many images, or none; on the loop. Raises NotReady, TooManyImages, Overloaded."""
        return self._first_of(
            self._by_load(),
            lambda depot, stand: depot.carriage.parcel(stand, images, priority, timeout_s, most_urgent, key, best),
        )

    def note(self, answered: Answered) -> None:
        """Tell everybody who counts of an answered request."""
        self.ledger.note(answered)

    def _first_of(self, at: Sequence[At], ask: Callable[[Depot, Stand], T]) -> T:
        """Ask these owners, one after the other, until one does not refuse. Raises a refusal where all do."""
        refusals: list[ServiceError] = []
        for depot, stand in at:
            try:
                return ask(depot, stand)
            except (NotReady, Overloaded) as error:  # it has ended, or is full: another may do
                refusals.append(error)
        if full := next((error for error in refusals if isinstance(error, Overloaded)), None):
            self.ledger.rejected += 1
            raise full
        raise refusals[0]

    def _by_load(self) -> Sequence[At]:
        if len(self._at) == 1:
            return self._at
        self._turn = (self._turn + 1) % len(self._at)
        return sorted((*self._at[self._turn :], *self._at[: self._turn]), key=_held)


def _held(at: At) -> int:
    return at[1].held
