"""Cross-validation: every image is judged once, by what did not learn from it nor from one of its group."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64
from numpy import ndarray
from sklearn.model_selection import KFold, StratifiedKFold


def folds(
    labels: Int64[ndarray, " n"], groups: Int64[ndarray, " n"], count: int, seed: int
) -> Iterator[tuple[Int64[ndarray, " t"], Int64[ndarray, " v"]]]:
    """(train, judge) indices of a stratified cross-validation in which no group is on both sides."""
    known, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    own = labels[first]
    least = int(np.bincount(own)[np.unique(own)].min())
    # A class of one image is now on one side, now on the other.
    kind, most = (StratifiedKFold, least) if least > 1 else (KFold, len(known))
    for _, held in kind(max(2, min(count, most)), shuffle=True, random_state=seed).split(known, own):
        inside = np.isin(inverse, held)
        yield np.flatnonzero(~inside), np.flatnonzero(inside)
