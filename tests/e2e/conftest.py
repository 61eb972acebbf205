"""What journeys have in common: a repository, one trained network, numbers of processes."""

from pathlib import Path

import pytest

from tests.support.colours import publish_colours
from tests.support.journey import Trained, train
from tests.support.shared import made_once


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one version of the colour model, for a module's own service."""
    folder = tmp_path_factory.mktemp("served") / "models"
    publish_colours(folder)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network that was trained with the installed command, and the pictures that it learned."""
    return Trained(made_once(tmp_path_factory, "trained", train))


# What several processes add is tested in test_workers and test_owner, each time; that they keep every promise of one
# takes minutes.
_TWO = pytest.param(("2",), id="two", marks=pytest.mark.slow)
_OWNED = pytest.param(("2", "--owner", "always"), id="owned", marks=pytest.mark.slow)


@pytest.fixture(params=[pytest.param(("1",), id="one"), _TWO, _OWNED])
def workers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What holds for one process holds for several, and for front ends of one owner."""
    return "--workers", *request.param
