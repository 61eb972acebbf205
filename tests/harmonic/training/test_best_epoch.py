"""Which epoch is kept, from figures alone."""

import math

import pytest

from harmonic.training.best_epoch import FEW, BestEpoch


def figures(accuracy, loss):
    return {"val_accuracy": accuracy, "val_loss": loss}


def kept(choice, epochs):
    """The number of the epoch that is left when they come one after the other."""
    best = 0
    for number, epoch in enumerate(epochs):
        best = number if choice.better(epoch, epochs[best]) else best
    return best


def test_with_many_images_the_most_accurate_epoch_is_kept():
    assert kept(BestEpoch(FEW), [figures(0.5, 1.0), figures(0.7, 0.9), figures(0.6, 0.8)]) == 1


def test_of_equally_accurate_epochs_the_one_with_less_loss_is_kept():
    assert kept(BestEpoch(FEW), [figures(0.7, 1.0), figures(0.7, 0.8), figures(0.7, 0.9)]) == 1


def test_with_few_images_a_lucky_epoch_does_not_win_over_one_with_less_loss():
    assert kept(BestEpoch(8), [figures(0.75, 1.4), figures(0.625, 0.6), figures(0.875, 1.1)]) == 1


def test_balanced_accuracy_chooses_however_few_images_there_are():
    assert kept(BestEpoch(8, balanced=True), [figures(0.5, 0.6), figures(0.75, 1.4)]) == 1


def test_without_images_the_last_epoch_is_kept():
    assert kept(BestEpoch(0), [{"train_loss": 1.0}, {"train_loss": 2.0}]) == 1


@pytest.mark.parametrize("images", [8, FEW])
def test_an_epoch_that_diverged_is_kept_only_while_there_is_no_other(images):
    assert kept(BestEpoch(images), [figures(0.3, math.nan), figures(0.3, 2.0), figures(0.3, math.nan)]) == 1


def test_a_bundle_says_how_uncertain_the_accuracy_is_that_chose():
    assert BestEpoch(100).uncertainty(figures(0.9, 1.0)) == {
        "images": 100,
        "accuracy_standard_error": pytest.approx(0.03),
    }
    assert BestEpoch(100, balanced=True).uncertainty(figures(0.9, 1.0)) == {"images": 100}
    assert BestEpoch(0).uncertainty({}) == {}
