"""The judgement is honest: chance for labels that mean nothing, and no help from copies."""

import numpy as np
import pytest

from harmonic.transfer.judgement import judge
from harmonic.transfer.probe import Candidate, scaled

DIMENSIONS = 12


def judged(features: np.ndarray, labels: np.ndarray, groups: np.ndarray | None = None, classes: int = 2):
    own = [scaled(Candidate("a", 8, features.astype(np.float32)))]
    return judge(own, labels, np.arange(len(labels)) if groups is None else groups, classes, repeats=2)


def test_what_is_easily_told_apart_is_judged_so() -> None:
    labels = np.arange(80) % 4
    found = judged(np.eye(4)[labels] * 20 + np.random.default_rng(0).normal(size=(80, 4)), labels, classes=4)
    assert found.accuracy.value > 0.98
    assert found.accuracy.low <= found.accuracy.value <= found.accuracy.high
    assert found.confusion.sum() == pytest.approx(80)
    np.testing.assert_allclose(found.mean.sum(1), 1)


def test_labels_that_mean_nothing_are_answered_by_chance() -> None:
    rng = np.random.default_rng(1)
    found = judged(rng.normal(size=(200, DIMENSIONS)), rng.integers(0, 2, 200))
    assert found.accuracy.low < 0.5 < found.accuracy.high + 0.05
    assert found.accuracy.high - found.accuracy.low < 0.2


def test_copies_on_both_sides_would_flatter_and_groups_prevent_it() -> None:
    rng = np.random.default_rng(2)
    once, labels = rng.normal(size=(60, 200)), rng.integers(0, 2, 60)
    features, labels, groups = np.repeat(once, 3, axis=0), np.repeat(labels, 3), np.repeat(np.arange(60), 3)
    flattered, honest = judged(features, labels), judged(features, labels, groups)
    assert flattered.accuracy.value > 0.9
    assert honest.accuracy.value < 0.7
    assert honest.accuracy.high - honest.accuracy.low > flattered.accuracy.high - flattered.accuracy.low


def test_a_rare_class_weighs_as_much_in_the_balanced_figure() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    found = judged(np.random.default_rng(3).normal(size=(100, DIMENSIONS)), labels)
    assert found.accuracy.value > 0.8
    assert abs(found.balanced.value - 0.5) < 0.15


def test_the_learning_curve_rises_with_the_images() -> None:
    labels = np.arange(240) % 3
    rng = np.random.default_rng(4)
    centres = rng.normal(size=(3, 60)) * 0.22
    found = judged(centres[labels] + rng.normal(size=(240, 60)), labels, classes=3)
    counts, right = zip(*found.curve, strict=True)
    assert list(counts) == sorted(counts)
    assert counts[-1] == 192
    assert right[-1] > right[0] + 0.05


def test_the_same_seed_gives_the_same_bits() -> None:
    rng = np.random.default_rng(5)
    features, labels = rng.normal(size=(50, DIMENSIONS)), np.arange(50) % 2
    assert np.array_equal(judged(features, labels).probabilities, judged(features, labels).probabilities)
