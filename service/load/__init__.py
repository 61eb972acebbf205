"""Load on a service, measured honestly: requests at a rate or from callers, percentiles of all samples, a report."""

from service.load.bodies import Body
from service.load.conditions import Condition, broken, read_condition
from service.load.figures import StepFigures
from service.load.findings import Findings, as_json, now, remarks, tables, versions
from service.load.live import View
from service.load.mlperf import Scenario, run_mlperf
from service.load.peak import Peak
from service.load.pictures import Picture, make_pictures, read_pictures
from service.load.plan import ClosedPace, LoadError, OpenPace, Pace
from service.load.report import page
from service.load.trial import Order, Trial, trial

__all__ = [
    "Body",
    "ClosedPace",
    "Condition",
    "Findings",
    "LoadError",
    "OpenPace",
    "Order",
    "Pace",
    "Peak",
    "Picture",
    "Scenario",
    "StepFigures",
    "Trial",
    "View",
    "as_json",
    "broken",
    "make_pictures",
    "now",
    "page",
    "read_condition",
    "read_pictures",
    "remarks",
    "run_mlperf",
    "tables",
    "trial",
    "versions",
]
