"""From answers to a report, by hand."""

import json

import numpy as np
import pytest

from harmonic.bundles.report import MOST_CLASSES, MOST_LISTED, Report
from harmonic.evaluation import Evaluation
from harmonic.evaluation.reporting import confusions, report_of

PROBABILITIES = np.array([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.2, 0.8, 0.0], [0.7, 0.2, 0.1]])


def measured(labels=(0, 1, 1, 0), classes=("a", "b", "c"), probabilities=PROBABILITIES, groups=None) -> Evaluation:
    return Evaluation("here", classes, np.array(labels), np.asarray(probabilities), 1.0, groups)


def of_many(classes: int) -> Report:
    names = tuple(f"class {number}" for number in range(classes))
    return report_of(measured(range(classes), names, np.roll(np.eye(classes), 1, axis=1)), "by hand")


def test_figures_are_those_of_the_answers():
    found = report_of(measured(), "by hand")
    assert (found.source, found.judged_by, found.images, found.class_count) == ("here", "by hand", 4, 3)
    assert found.accuracy.value == 0.75
    assert found.balanced_accuracy.value == 0.75  # of a 1, of b 1/2; nothing is known of c
    assert found.accuracy.low <= 0.75 <= found.accuracy.high
    assert found.confusion == ((2, 0, 0), (1, 1, 0), (0, 0, 0))
    assert [(one.true, one.answer, one.share) for one in found.confused] == [("b", "a", 0.5)]
    assert [(one.recall, one.precision) for one in found.classes] == [(1, 0.6667), (0.5, 1), (None, None)]


def test_curves_are_those_of_the_answers():
    found = report_of(measured(), "by hand")
    assert [(one.probability, one.right, one.images) for one in found.calibration] == [
        (0.6, 0.0, 1),
        (0.7, 1.0, 1),
        (0.8, 1.0, 1),
        (0.9, 1.0, 1),
    ]
    assert [(one.right, one.kept) for one in found.thresholds if one.probability in {0.0, 0.72, 0.84}] == [
        (0.75, 1.0),
        (1.0, 0.5),
        (1.0, 0.25),
    ]
    assert found.thresholds[-1].probability == 0.9  # nobody is surer


def test_an_interval_draws_whole_groups():
    labels, answers = [0] * 40, np.repeat([[0.9, 0.1], [0.1, 0.9]], 20, axis=0)
    alone = report_of(measured(labels, ("a", "b"), answers), "by hand").accuracy
    twins = report_of(measured(labels, ("a", "b"), answers, np.repeat(np.arange(4), 10)), "by hand").accuracy
    assert alone.high - alone.low < twins.high - twins.low


def test_many_classes_get_no_confusion_and_the_weakest_are_listed():
    assert len(of_many(MOST_CLASSES).confusion) == MOST_CLASSES
    many = of_many(MOST_LISTED + 20)
    assert many.confusion is None
    assert (many.class_count, len(many.classes)) == (MOST_LISTED + 20, MOST_LISTED)


def test_long_names_are_cut_and_a_report_is_read_as_written():
    found = report_of(measured(classes=("a" * 5000, "b", "c")), "by hand", learning=[(3, 0.5)], remarks=["More."])
    assert len(found.classes[0].name) == 300
    assert Report.model_validate_json(found.written()) == found
    assert json.loads(found.written())["learning"] == [{"images": 3, "accuracy": 0.5}]


@pytest.mark.parametrize("confusion", [[[0, 0], [0, 0]], [[3, 0], [0, 4]]])
def test_nothing_confused_is_nothing_told(confusion):
    assert confusions(("a", "b"), np.array(confusion)) == []
