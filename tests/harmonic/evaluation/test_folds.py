"""Folds keep groups together."""

import numpy as np

from harmonic.evaluation.folds import folds


def test_folds_never_part_a_group_and_hold_every_image_out_once() -> None:
    labels = np.repeat(np.arange(3), 20)
    groups = np.arange(60) // 4
    held = []
    for train, judge in folds(labels, groups, 5, seed=3):
        assert not set(groups[train]) & set(groups[judge])
        assert set(labels[train]) == {0, 1, 2}
        held += list(judge)
    assert sorted(held) == list(range(60))
    assert len(list(folds(np.array([0, 0, 1, 1, 1]), np.arange(5), 5, 1))) == 2  # no more than the rarest class has
