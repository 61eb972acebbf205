"""Requests are admitted and batched here: seats, the queue, and the instances that empty it. Many callers, one call.

Knows numpy arrays; no HTTP, no images, no ONNX.
"""

from service.batching.batcher import Batcher, BatchStatistics, level_of
from service.batching.health import CallLimits, InstanceHealth
from service.batching.instance import calls_linger
from service.batching.policy import BatchPolicy
from service.batching.ticket import Answer, Kind, Ticket

__all__ = [
    "Answer",
    "BatchPolicy",
    "BatchStatistics",
    "Batcher",
    "CallLimits",
    "InstanceHealth",
    "Kind",
    "Ticket",
    "calls_linger",
    "level_of",
]
