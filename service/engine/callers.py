"""Who asks: whose share of the service a request takes, and how urgent it may call itself. Knows keys by name alone."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from service.batching import BatchPolicy

_PLACE = "harmonic.caller"  # in the ASGI scope


@dataclass(frozen=True, slots=True)
class Caller:
    """key: name of its API key, empty where none is wanted. most_urgent: level of priority that it may claim; None for
    none above each model's default."""

    key: str = ""
    most_urgent: int | None = 1

    def level(self, asked: int, policy: BatchPolicy) -> int:
        """The level of a request that asks for one; 0 for the default. What it may not claim, it does not get."""
        limit = policy.default_priority if self.most_urgent is None else self.most_urgent
        return max(policy.level(asked), min(limit, policy.default_priority))


ANYBODY = Caller()


def introduce(scope: MutableMapping[str, Any], caller: Caller) -> None:
    """Say who asks, for those further in."""
    scope[_PLACE] = caller


def caller_of(scope: MutableMapping[str, Any]) -> Caller:
    """Who asks; anybody, where no keys are wanted."""
    found: Caller = scope.get(_PLACE, ANYBODY)
    return found
