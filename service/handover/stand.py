"""A version as a front end has it: by which number the owner knows it, how many slots it may have, what was counted."""

import math
import threading

from service.engine import VersionFacts
from service.handover.offers import Offer
from service.handover.slots import slot_bytes
from service.telemetry import Answered, Metrics, Tally, remember


class Stand:
    """One version. ends: how many front ends share its queue."""

    def __init__(self, offer: Offer, ends: int, metrics: Metrics) -> None:
        self.number = offer.number
        self.facts: VersionFacts = offer.facts
        self._lock = threading.Lock()
        self.tally = Tally()
        measured = metrics.version(self.facts.name, self.facts.version)
        self.observers = (measured.observe_request, self.tally.succeeded, remember)
        self.visits = 0
        self.offered = True  # by the owner, still
        self.lost = False  # with its owner
        self.rejected = self.expired = self.cancelled = 0
        self.held = self.ordered = 0  # images with a slot, and those of them that the owner was told of
        self._image_s = 0.0
        policy = self.facts.policy
        # As many as may wait, and those that are being run.
        self.room = max(policy.max_size, math.ceil((policy.max_queue + self.facts.instances * policy.max_size) / ends))
        pixels = self.facts.manifest.pixels
        self.kind = (pixels.shape, pixels.dtype)
        self.classes = len(self.facts.manifest.classes)
        self._row_bytes = math.prod(pixels.shape) * pixels.dtype.itemsize

    @property
    def key(self) -> tuple[str, int]:
        """Name and version."""
        return self.facts.name, self.facts.version

    def size(self, images: int) -> int:
        """Bytes of a slot for so many images."""
        return slot_bytes(images, self._row_bytes, self.classes)

    def hold(self, images: int) -> None:
        """So many have a slot; a negative number when it is free again. From any thread."""
        with self._lock:
            self.held += images

    def order(self, images: int) -> None:
        """The owner is told of so many; a negative number when it has answered. From any thread."""
        with self._lock:
            self.ordered += images

    def ran(self, images: int, seconds: float) -> None:
        """Note a call, for the pace."""
        self._image_s += 0.1 * (seconds / max(1, images) - self._image_s)

    def backlog_s(self) -> float:
        """Seconds until what has a slot now has run, at the recent pace."""
        return max(1.0, math.ceil(self.held * self._image_s / self.facts.instances))

    def counted_on(self, other: "Stand") -> None:
        """Take over what was counted of the same version, whose owner has ended."""
        self.tally, self.observers = other.tally, other.observers
        self.rejected, self.expired, self.cancelled = other.rejected, other.expired, other.cancelled

    def note(self, answered: Answered) -> None:
        """Tell everybody who counts of an answered request."""
        for observe in self.observers:
            observe(answered)
