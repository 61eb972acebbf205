"""A classifier of a user's own images, built on a pretrained network: looked at, chosen, judged, fitted.

Knows bundles and data; trains no network, and knows no ONNX and no service.
"""

from harmonic.transfer.findings import advice, class_table, survey_lines, tried_lines, worst_confusions
from harmonic.transfer.procedure import AUTO, Transferred, Wanted, fit
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
    "fit",
    "report",
    "report_page",
    "survey",
    "survey_lines",
    "tried_lines",
    "worst_confusions",
]
