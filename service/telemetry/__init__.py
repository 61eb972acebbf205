"""What the service reports about itself: log lines, metrics, spans, and the totals of every version.

Knows exchanges and counts; no route.
"""

from service.telemetry import logs
from service.telemetry.exchange import Answered, Exchange, begin, current, remember
from service.telemetry.families import Family, add_up, lasting, read_families, side_by_side, without_versions
from service.telemetry.metrics import LABELS, Metrics, VersionMetrics
from service.telemetry.outcomes import VersionOutcome, version_outcomes
from service.telemetry.spans import Spans
from service.telemetry.totals import Figures, Tally, Total

__all__ = [
    "LABELS",
    "Answered",
    "Exchange",
    "Family",
    "Figures",
    "Metrics",
    "Spans",
    "Tally",
    "Total",
    "VersionMetrics",
    "VersionOutcome",
    "add_up",
    "begin",
    "current",
    "lasting",
    "logs",
    "read_families",
    "remember",
    "side_by_side",
    "version_outcomes",
    "without_versions",
]
