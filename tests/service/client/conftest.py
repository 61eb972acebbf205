"""A service for the tests of its client."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.colours import publish_colours
from tests.support.process import serving


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service whose requests may bring few images; version 1 of its model calls every colour by another's name."""
    root = tmp_path_factory.mktemp("models")
    publish_colours(root, weights=-np.eye(3))
    publish_colours(root)
    with serving(root, "--max-batch", "16", images_per_request="5", body_bytes="100000") as (url, _):
        yield url
