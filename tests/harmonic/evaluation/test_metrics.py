"""Figures for unbalanced classes, against small cases worked by hand."""

import math

import numpy as np
import pytest
import torch
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
    probabilities = sure(np.linspace(0.99, 0.6, 40))
    labels = np.array([0] * 29 + [1] + [0] * 5 + [1] * 5)  # 34 of 35 are right; 34 of 36 are too few
    found = metrics.certainty(probabilities, labels)
    assert found == {"probability": probabilities[34, 0], "precision": 0.95, "images": 40}
    assert metrics.certainty(probabilities, labels, 0.99)["probability"] == probabilities[28, 0]


def test_nothing_is_certain_that_few_answers_or_too_few_right_ones_bear_out():
    assert metrics.certainty(sure(np.linspace(0.99, 0.6, 19)), np.zeros(19, np.int64)) is None
    assert metrics.certainty(sure(np.linspace(0.99, 0.6, 40)), np.arange(40) % 2) is None
    assert metrics.certainty(np.zeros((0, 2)), np.zeros(0, np.int64)) is None


def test_equal_probabilities_are_on_one_side_of_the_border():
    labels = np.array([0] * 22 + [1] * 18)
    assert metrics.certainty(sure(np.full(40, 0.9)), labels) is None
