"""A classifier of a user's own images, built on a pretrained network: looked at, chosen, judged, fitted.

Knows bundles, data, compression and training; no ONNX and no service. `finetuning` and `shrinking` load much, so they
are modules for others too.
"""

from harmonic.transfer.findings import advice, class_table, survey_lines, tried_lines, worst_confusions
from harmonic.transfer.outcome import Transferred
from harmonic.transfer.procedure import AUTO, Wanted, fit
from harmonic.transfer.report import report
from harmonic.transfer.report_page import report_page
from harmonic.transfer.survey import Survey, survey

__all__ = [
    "AUTO",
    "Survey",
    "Transferred",
    "Wanted",
    "advice",
    "class_table",
    "finetuning",
    "fit",
    "report",
    "report_page",
    "shrinking",
    "survey",
    "survey_lines",
    "tried_lines",
    "worst_confusions",
]
