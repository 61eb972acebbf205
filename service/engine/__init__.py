"""The models of one repository, from the folder to the answer. The routes know only its door.

Takes encoded images or rows and gives logits. Knows no HTTP.
"""

from service.engine.callers import Caller, caller_of, introduce
from service.engine.catalog import BrokenVersion, Catalog, Entry, ReadyVersion
from service.engine.documents import CARD, DOCUMENTS, SPECTRUM
from service.engine.engine import Engine
from service.engine.visit import Outcome, Visit

__all__ = [
    "CARD",
    "DOCUMENTS",
    "SPECTRUM",
    "BrokenVersion",
    "Caller",
    "Catalog",
    "Engine",
    "Entry",
    "Outcome",
    "ReadyVersion",
    "Visit",
    "caller_of",
    "introduce",
]
