"""One trained network for all journeys."""

import pytest

from tests.support.journey import Trained, train
from tests.support.shared import made_once


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network that was trained with the installed command, and the pictures that it learned."""
    return Trained(made_once(tmp_path_factory, "trained", train))


@pytest.fixture(params=["1", "2"], ids=["one", "two"])
def workers(request: pytest.FixtureRequest) -> tuple[str, str]:
    """What holds for one process holds for several."""
    return "--workers", request.param
