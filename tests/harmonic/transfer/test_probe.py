"""The linear classifier: against scikit-learn on the features as they are."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from harmonic.transfer.probe import Candidate, fit_probe, scaled, select


def drawn(classes: int, n: int = 60, dimensions: int = 90, spread: float = 2.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = rng.normal(size=(classes, dimensions)) * spread / np.sqrt(dimensions)
    return (centres[labels] + rng.normal(size=(n, dimensions)) + 5).astype(np.float32), labels


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_turned_features_give_the_classifier_that_scikit_learn_finds_on_the_plain_ones(classes: int) -> None:
    given, labels = drawn(classes)
    given[:, 7] = 3.0  # a feature that says nothing
    own = scaled(Candidate("a", 8, given))
    assert own.rows.shape[1] <= min(given.shape)
    probe = fit_probe(own.rows, labels, classes, 0.01)
    reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)).fit(given, labels)
    np.testing.assert_allclose(probe.probabilities(own.rows), reference.predict_proba(given), atol=2e-3)
    weight, bias = own.unscaled(probe.weight, probe.bias)
    logits = given @ weight.T + bias
    np.testing.assert_allclose(logits, own.rows @ probe.weight.T + probe.bias, atol=1e-3)


def test_what_hardly_varies_gets_no_large_weight() -> None:
    """It would decide, once 8 bits round it."""
    given, labels = drawn(3)
    given[:, 7] = 3.0 + 1e-4 * labels  # tells the classes apart, if one looks closely
    own = scaled(Candidate("a", 8, given))
    probe = fit_probe(own.rows, labels, 3, 0.3)
    weight, bias = own.unscaled(probe.weight, probe.bias)
    assert np.abs(weight[:, 7]).max() < np.abs(weight).max()
    rounded = given.copy()
    rounded[:, 7] = 3.0
    logits, found = (rows @ weight.T + bias for rows in (given, rounded))
    np.testing.assert_allclose(found, logits, atol=1e-2)


def test_features_that_are_all_the_same_answer_by_frequency() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    own = scaled(Candidate("a", 8, np.full((40, 5), 2.0, np.float32)))
    found = fit_probe(own.rows, labels, 2, 0.3).probabilities(own.rows)
    np.testing.assert_allclose(found, np.tile([0.75, 0.25], (40, 1)), atol=1e-2)


def test_a_class_that_was_not_learned_is_not_answered() -> None:
    given, labels = drawn(4)
    own = scaled(Candidate("a", 8, given))
    there = labels != 2
    found = fit_probe(own.rows[there], labels[there], 4, 0.1).probabilities(own.rows)
    assert np.isfinite(found).all()
    assert found[:, 2].max() < 1e-3


def test_balanced_finds_the_rare_class_more_often() -> None:
    given, labels = drawn(2, n=300, dimensions=4, spread=1.5)
    few = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:15]])
    own = scaled(Candidate("a", 8, given[few]))
    rare = labels[few] == 1
    plain, even = (
        fit_probe(own.rows, labels[few], 2, 1.0, balanced).probabilities(own.rows) for balanced in (False, True)
    )
    assert (even.argmax(1)[rare] == 1).mean() > (plain.argmax(1)[rare] == 1).mean()


def test_the_candidate_that_says_more_is_chosen() -> None:
    given, labels = drawn(3, spread=5.0)
    noise = np.random.default_rng(9).normal(size=given.shape).astype(np.float32)
    own = [scaled(Candidate("noise", 8, noise)), scaled(Candidate("signal", 8, given))]
    choice, losses = select(own, labels, np.arange(len(labels)), 3, seed=1)
    assert choice.place == 1
    assert losses[choice] == min(losses.values())
