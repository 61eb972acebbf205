"""Figures for unbalanced classes, against small cases worked by hand."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torchmetrics.functional import classification as reference

from harmonic.evaluation import metrics

CONFUSION = np.array([[8, 2, 0], [1, 1, 0], [0, 0, 0]])


def test_recall_precision_and_f1_of_a_worked_case():
    assert metrics.recall(CONFUSION)[:2].tolist() == [0.8, 0.5]
    assert metrics.precision(CONFUSION)[:2].tolist() == pytest.approx([8 / 9, 1 / 3])
    assert metrics.f1(CONFUSION)[:2].tolist() == pytest.approx([16 / 19, 2 / 5])
    assert metrics.balanced_accuracy(CONFUSION) == pytest.approx(0.65)


def test_a_class_without_images_is_left_out_and_not_counted_as_failed():
    assert math.isnan(metrics.recall(CONFUSION)[2])
    assert math.isnan(metrics.f1(CONFUSION)[2])
    assert metrics.mean(np.array([0.5, np.nan])) == 0.5
    assert math.isnan(metrics.mean(np.array([np.nan])))


def test_a_class_that_is_never_answered_has_f1_zero():
    assert metrics.f1(np.array([[3, 0], [2, 0]]))[1] == 0


def test_auc_counts_ordered_pairs_and_halves_ties():
    labels = np.array([0, 0, 1, 1])
    scores = np.array([0.1, 0.4, 0.4, 0.8])

    found = metrics.auc(labels, np.stack([1 - scores, scores], axis=1))

    assert found.tolist() == pytest.approx([3.5 / 4, 3.5 / 4])


def test_where_every_class_occurs_the_figures_are_those_of_torchmetrics():
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, 200)])
    probabilities = rng.dirichlet(np.ones(4), len(labels)).round(2)  # with ties
    confusion = reference.multiclass_confusion_matrix(*map(torch.from_numpy, (probabilities, labels)), 4).numpy()
    for own, theirs in (
        (metrics.recall(confusion), reference.multiclass_recall),
        (metrics.precision(confusion), reference.multiclass_precision),
        (metrics.f1(confusion), reference.multiclass_f1_score),
        (metrics.auc(labels, probabilities), reference.multiclass_auroc),
    ):
        wanted = theirs(torch.from_numpy(probabilities), torch.from_numpy(labels), 4, average="none")
        assert own.tolist() == pytest.approx(wanted.tolist(), rel=1e-6)


def test_sensitivity_is_taken_where_the_specificity_is_kept():
    positive = np.array([False] * 10 + [True] * 4)
    scores = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.05, 0.85, 0.95, 0.99])

    assert metrics.sensitivity_at(0.9, positive, scores) == 0.75
    assert metrics.sensitivity_at(1.0, positive, scores) == 0.5
    assert math.isnan(metrics.sensitivity_at(0.9, np.zeros(14, dtype=bool), scores))


def test_bootstrap_draws_whole_groups():
    groups = np.array([0, 0, 0, 7, 7])
    drawn = []

    def remember(indices):
        drawn.append(indices)
        return {"share": float((groups[indices] == 0).mean())}

    intervals = metrics.bootstrap(groups, remember, rounds=50)

    assert all(np.bincount(indices, minlength=5)[:3].std() == 0 for indices in drawn)
    assert intervals["share"][0] <= 0.6 <= intervals["share"][1]
    assert intervals == metrics.bootstrap(groups, remember, rounds=50)


def sure(shares):
    """Answers to two classes, the first always taken, with these probabilities."""
    return np.stack([shares, 1 - np.asarray(shares)], axis=1)


def test_from_the_least_certain_probability_on_the_wanted_share_is_right():
    probabilities = sure(np.linspace(0.99, 0.6, 100))
    labels = np.array([0] * 60 + [1] + [0] * 19 + [1] * 20)
    found = metrics.certainty(probabilities, labels)
    # 79 of 82 are right; were one wrong answer more among them, 79 of 83 would just do.
    assert found == {"probability": probabilities[81, 0], "precision": 0.95, "at_least": 0.9265, "images": 100}
    assert metrics.certainty(probabilities, labels, 0.97)["probability"] == probabilities[79, 0]
    assert metrics.certainty(probabilities, labels, 0.98)["probability"] == probabilities[59, 0]


@pytest.mark.parametrize("answers", [18, 19, 38, 39, 80, 400, 1000])
def test_one_wrong_answer_more_is_bearable_and_the_share_s_lower_end_is_scipy_s(answers):
    for wrong in range(min(answers, 60) + 1):
        labels = np.arange(answers) < wrong
        found = metrics.certainty(sure(np.full(answers, 0.9)), labels.astype(np.int64))
        assert (found is not None) == (20 * (wrong + 1) <= answers + 1)
        if found:
            lower = stats.binomtest(answers - wrong, answers).proportion_ci(0.8, "wilson").low
            assert found["at_least"] == pytest.approx(lower, abs=1e-4)


def test_of_other_images_the_wanted_share_is_right_in_the_mean_and_seldom_less_than_is_told():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        shares = rng.uniform(0.5, 1, size=1000)  # each as often right as it says
        found.append(metrics.certainty(sure(shares), (rng.random(1000) > shares).astype(np.int64)))
    known = [one for one in found if one]
    others = np.array([(1 + one["probability"]) / 2 for one in known])  # by their distribution
    assert len(known) > 190
    assert others.mean() == pytest.approx(0.95, abs=0.005)
    assert (others < [one["at_least"] for one in known]).mean() < 0.25


def test_nothing_is_certain_that_few_answers_or_too_few_right_ones_bear_out():
    assert metrics.certainty(sure(np.linspace(0.99, 0.6, 40)), np.arange(40) % 2) is None
    assert metrics.certainty(np.zeros((0, 2)), np.zeros(0, np.int64)) is None


def test_equal_probabilities_are_on_one_side_of_the_border():
    labels = np.array([0] * 34 + [1] * 6)
    assert metrics.certainty(sure(np.full(40, 0.9)), labels) is None
