"""How many replicas there should be: by the images that wait, and by how busy those are that do not.

Each replica measures its own; Ray Serve collects it and asks for a decision. Ray copies this module to its controller,
so it imports nothing of ours.
"""

import math
from collections.abc import Mapping
from typing import Any, Protocol

WAITING, BUSY = "images_waiting", "busy"
_FULL = 0.8  # the share of its time that a replica computes, beyond which another one is wanted


class Measured(Protocol):
    """What Ray Serve tells a policy, as far as this one wants to know it. By measure, then by replica."""

    aggregated_metrics: Mapping[str, Mapping[Any, float]] | None
    policy_state: dict[str, Any]


class ImagesWaiting:
    """A policy of Ray Serve. aim: images waiting in each replica."""

    def __init__(self, aim: float) -> None:
        self._aim = aim

    def __call__(self, measured: Measured) -> tuple[int, dict[str, Any]]:
        """How many replicas, before Ray's bounds and delays: enough for the images that wait, and never so few that
        those who cope now would not."""
        found = measured.aggregated_metrics or {}
        waiting = sum(found.get(WAITING, {}).values())
        busy = sum(found.get(BUSY, {}).values())
        return max(1, math.ceil(waiting / self._aim), math.ceil(busy / _FULL)), measured.policy_state
