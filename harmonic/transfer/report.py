"""What a fit's own judgement found, as the report that is published with the classifier: no photograph is in it."""

from harmonic.bundles import Report
from harmonic.evaluation import Evaluation, estimate, report_of
from harmonic.transfer.findings import advice, further_lines
from harmonic.transfer.outcome import Transferred


def report(fitted: Transferred) -> Report:
    """Figures, curves and confusion of the answers to each image when it was held out."""
    judged = fitted.judgement
    images = fitted.survey.images.subset(judged.places)
    accuracy, balanced = (estimate(one.value, one.low, one.high) for one in (judged.accuracy, judged.balanced))
    measured = Evaluation(images.source, fitted.bundle.card.classes, images.labels, judged.mean, 0.0, images.groups)
    return report_of(
        measured,
        judged.way,
        figures=(accuracy, balanced),
        confusion=judged.confusion,
        learning=judged.curve,
        remarks=[advice(fitted), *further_lines(fitted)],
    )
