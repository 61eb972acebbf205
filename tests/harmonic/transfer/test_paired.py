"""What one classifier gains over another on the same images, and how sure that is."""

import numpy as np
import pytest

from harmonic.transfer.paired import paired

LABELS = np.arange(40) % 4
ONE_EACH = np.ones(40)


def answers(right: float, noise: float = 0.0) -> np.ndarray:
    """Probabilities of four classes; `right` of the true one, more or less."""
    shares = np.full((40, 4), (1 - right) / 3)
    shares[np.arange(40), LABELS] = right
    shares *= np.exp(noise * np.random.default_rng(1).normal(size=shares.shape))
    return shares / shares.sum(1, keepdims=True)


def test_the_gain_is_the_mean_of_the_paired_differences_and_its_error_theirs() -> None:
    first, second = answers(0.4, 0.5), answers(0.5, 0.3)
    found = paired(first, second, LABELS, np.arange(40), ONE_EACH)
    own = np.log(second[np.arange(40), LABELS]) - np.log(first[np.arange(40), LABELS])
    assert found.gain == pytest.approx(own.mean())
    assert found.error == pytest.approx(own.std(ddof=1) / np.sqrt(40))
    assert found.accuracy[0] == pytest.approx((first.argmax(1) == LABELS).mean())
    assert found.better


def test_no_difference_is_no_gain() -> None:
    found = paired(answers(0.5), answers(0.5), LABELS, np.arange(40), ONE_EACH)
    assert (found.gain, found.error, found.better) == (0, 0, False)


def test_a_gain_within_the_noise_is_not_better() -> None:
    second = answers(0.5, 2.0)
    found = paired(answers(0.4), second, LABELS, np.arange(40), ONE_EACH)
    assert found.gain < found.error
    assert not found.better


def test_what_answers_fewer_right_is_not_better_however_sure_it_is() -> None:
    first, second = answers(0.3), answers(0.9)
    second[0] = np.roll(second[0], 1)
    found = paired(first, second, LABELS, np.arange(40), ONE_EACH)
    assert found.gain > found.error
    assert not found.better


def test_copies_are_one_witness() -> None:
    first, second = answers(0.4, 0.5), answers(0.5, 0.3)
    alone = paired(first[:20], second[:20], LABELS[:20], np.arange(20), ONE_EACH[:20])
    thrice = [np.repeat(one[:20], 3, axis=0) for one in (first, second)]
    copied = paired(*thrice, np.repeat(LABELS[:20], 3), np.repeat(np.arange(20), 3), np.ones(60))
    assert copied.gain == pytest.approx(alone.gain)
    assert copied.error == pytest.approx(alone.error)


def test_weights_count() -> None:
    """With all weight on the first class the others say nothing."""
    first, second = answers(0.4), answers(0.4)
    second[LABELS == 0] = answers(0.8)[LABELS == 0]
    weights = (LABELS == 0).astype(float)
    found = paired(first, second, LABELS, np.arange(40), weights)
    assert found.gain == pytest.approx(np.log(2))
