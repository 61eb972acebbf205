"""A run for the tests of training."""

import pytest

from harmonic.training.train import train
from tests.support.runs import CPU, images, recipe


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One short run with validation and test images."""
    out = tmp_path_factory.mktemp("finished") / "run"
    train(recipe(), images(), out, test=images(30, seed=9), where=CPU)
    return out
