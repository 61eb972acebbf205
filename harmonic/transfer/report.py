"""What a fit's own judgement found, as the report that is published with the classifier: no photograph is in it."""

from harmonic.bundles import Report
from harmonic.evaluation import Evaluation, estimate, report_of
from harmonic.transfer.findings import advice
from harmonic.transfer.judgement import FOLDS
from harmonic.transfer.procedure import Transferred


def report(fitted: Transferred) -> Report:
    """Figures, curves and confusion of the answers to each image when it was held out."""
    judged, images = fitted.judgement, fitted.survey.images
    accuracy, balanced = (estimate(one.value, one.low, one.high) for one in (judged.accuracy, judged.balanced))
    measured = Evaluation(images.source, fitted.bundle.card.classes, images.labels, judged.mean, 0.0, images.groups)
    return report_of(
        measured,
        f"{len(judged.probabilities)} x {FOLDS}-fold cross-validation",
        figures=(accuracy, balanced),
        confusion=judged.confusion,
        learning=judged.curve,
        remarks=[advice(fitted)],
    )
