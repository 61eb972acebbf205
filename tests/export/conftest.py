"""Exports that do not wait for what is the same for all of them."""

import pytest

from tests.support import operators


@pytest.fixture(scope="session", autouse=True)
def operators_read_once() -> None:
    operators.read_once()
