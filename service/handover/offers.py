"""What an owner offers its front ends: the catalog, and by which number each version that serves may be asked."""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from service.config import Split
from service.engine import BrokenVersion, Catalog, OnDemand, VersionFacts


@dataclass(frozen=True, slots=True)
class Offer:
    """A version in service. number: given to it alone, for as long as the owner lives. ready: it answers now."""

    number: int
    facts: VersionFacts
    ready: bool


@dataclass(frozen=True, slots=True)
class Offers:
    """Everything at one moment."""

    served: tuple[Offer, ...]
    broken: tuple[BrokenVersion, ...]
    default: str | None
    advice: str
    on_demand: tuple[OnDemand, ...] = ()
    splits: tuple[Split, ...] = ()

    def catalog(self) -> Catalog:
        """As an engine tells it."""
        ready = tuple(one.facts for one in self.served if one.ready)
        return Catalog(ready, self.broken, self.default, self.advice, self.on_demand, self.splits)

    def as_facts(self) -> dict[str, Any]:
        """As it travels."""
        facts: dict[str, Any] = _OFFERS.dump_python(self, mode="json")
        return facts


_OFFERS = TypeAdapter(Offers)


def read_offers(facts: dict[str, Any]) -> Offers:
    """Offers that have travelled."""
    return _OFFERS.validate_python(facts)
