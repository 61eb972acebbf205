"""A version, a store that has it, and a place for a copy."""

from pathlib import Path

import pytest

from export.stores import Store
from tests.support.colours import publish_colours
from tests.support.stores import in_memory, uploaded


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """A version to publish."""
    return publish_colours(tmp_path / "made")


@pytest.fixture
def store(version: Path) -> Store:
    """A store with one version of one model."""
    store = in_memory()
    uploaded(store, version)
    return store


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy"
