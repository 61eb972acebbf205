"""A version at one owner, as a front end has it: its number there, and how many images have slots. And what is counted
of the version here, whichever owner answers."""

import math
import threading

from export.manifest import Manifest
from service.engine import VersionFacts
from service.handover.offers import Offer
from service.handover.slots import slot_bytes
from service.telemetry import Answered, Metrics, Tally, remember


class Ledger:
    """What became of the requests for a version that came to this front end. On the loop only, but for its tally."""

    def __init__(self, facts: VersionFacts, metrics: Metrics) -> None:
        self.model = facts.model
        self.manifest: Manifest = facts.manifest
        self.tally = Tally()
        measured = metrics.version(facts.name, facts.version)
        self.observers = (measured.observe_request, self.tally.succeeded, remember)
        self.rejected = self.expired = self.cancelled = 0

    def note(self, answered: Answered) -> None:
        """Tell everybody who counts of an answered request."""
        for observe in self.observers:
            observe(answered)


class Stand:
    """One version at one owner. ends: how many front ends share its queue there."""

    def __init__(self, offer: Offer, ends: int, ledger: Ledger) -> None:
        self.number = offer.number
        self.facts: VersionFacts = offer.facts
        self.ready = offer.ready
        self.ledger = ledger
        self._lock = threading.Lock()
        self.visits = 0
        self.offered = True  # by the owner, still
        self.held = self.ordered = 0  # images with a slot, and those of them that the owner was told of
        self._image_s = 0.0
        policy = self.facts.policy
        # As many as may wait, and those that are being run.
        self.room = max(policy.max_size, math.ceil((policy.max_queue + self.facts.instances * policy.max_size) / ends))
        pixels = self.facts.manifest.pixels
        self.kind = (pixels.shape, pixels.dtype)
        self.classes = len(self.facts.manifest.classes)
        self._row_bytes = math.prod(pixels.shape) * pixels.dtype.itemsize

    def offered_again(self, offer: Offer) -> None:
        """Note what the owner says of it now."""
        self.facts, self.ready = offer.facts, offer.ready

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
