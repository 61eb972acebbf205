"""The models of one repository, from the folder to the answer. The routes know only its door.

Takes encoded images or rows and gives logits. Knows no HTTP.
"""

from service.engine.canary import CanaryVerdict, Judge
from service.engine.catalog import BrokenVersion, Catalog, Entry, OnDemand, Unloaded, VersionFacts, trouble
from service.engine.collector import State, StateCollector
from service.engine.documents import DOCUMENTS, documented, read_document
from service.engine.door import ANYBODY, Caller, Engine, Visit
from service.engine.local import LocalEngine
from service.engine.splits import chosen
from service.engine.visit import Served, with_times

__all__ = [
    "ANYBODY",
    "DOCUMENTS",
    "BrokenVersion",
    "Caller",
    "CanaryVerdict",
    "Catalog",
    "Engine",
    "Entry",
    "Judge",
    "LocalEngine",
    "OnDemand",
    "Served",
    "State",
    "StateCollector",
    "Unloaded",
    "VersionFacts",
    "Visit",
    "chosen",
    "documented",
    "read_document",
    "trouble",
    "with_times",
]
