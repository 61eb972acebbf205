"""Requests go from the processes that take them to the one that owns the models: pixels in shared slots, a doorbell.

Knows engines and sockets that it is given; no HTTP, and nobody who starts processes.
"""

from service.handover.bell import Way, ends
from service.handover.channel import Channel
from service.handover.owner import ModelOwner
from service.handover.refusals import Facts, Gone, refusal, settled
from service.handover.remote import RemoteEngine

__all__ = ["Channel", "Facts", "Gone", "ModelOwner", "RemoteEngine", "Way", "ends", "refusal", "settled"]
