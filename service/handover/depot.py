"""One owner of the models, as a front end has it: the way there, what it offers, and which of it is in use here."""

from collections.abc import Callable

from service.engine import VersionFacts
from service.handover.carriage import Carriage
from service.handover.channel import Channel
from service.handover.offers import Offers
from service.handover.stand import Ledger, Stand

Key = tuple[str, int]  # a version: its model's name, its number


class Depot:
    """An owner, from the meeting to its end. number: which of the owners, from 1."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.carriage: Carriage
        self.letters: Channel
        self.offers: Offers | None = None  # until it has loaded its models
        self.stands: dict[Key, Stand] = {}
        self.lost = False

    def take(self, offers: Offers, ends: int, ledger: Callable[[VersionFacts], Ledger]) -> None:
        """Have what it offers from now on, and let go of the rest. ends: front ends that it has."""
        self.offers = offers
        before, self.stands = self.stands, {}
        for offer in offers.served:
            key = (offer.facts.name, offer.facts.version)
            stand = before.get(key)
            if stand is None or stand.number != offer.number:
                stand = Stand(offer, ends, ledger(offer.facts))
            stand.offered_again(offer)
            self.stands[key] = stand
        for key, old in before.items():
            if self.stands.get(key) is not old:
                old.offered = False
                self.let_go(old)

    def let_go(self, stand: Stand) -> None:
        """Tell the owner, if so it is, that nobody here visits a version any more that it has taken out of service."""
        if not (stand.offered or stand.visits or self.lost):
            self.letters.tell("left", number=stand.number)
