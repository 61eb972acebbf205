"""One trained network for all journeys."""

import pytest

from tests.support.journey import Trained, train
from tests.support.shared import made_once


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network that was trained with the installed command, and the pictures that it learned."""
    return Trained(made_once(tmp_path_factory, "trained", train))


_OWNED = pytest.param(("2", "--owner", "always"), id="owned", marks=pytest.mark.slow)


@pytest.fixture(params=[pytest.param(("1",), id="one"), pytest.param(("2",), id="two"), _OWNED])
def workers(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """What holds for one process holds for several, and for front ends of one owner."""
    return "--workers", *request.param
