"""Repositories for the tests of the service."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harmonic.pixels import PixelSpec
from tests.support.colours import publish_colours
from tests.support.shared import made_once

Publish = Callable[..., Path]


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    """Publish versions of the colour model into `tmp_path / "models"`."""
    return lambda *args, **kwargs: publish_colours(tmp_path / "models", *args, **kwargs)


@pytest.fixture
def repository(publish: Publish, tmp_path: Path) -> Path:
    """A repository with one version of one model."""
    publish()
    return tmp_path / "models"


@pytest.fixture(scope="session")
def native_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that asks for a native stem and allows it to adapt, exported from PyTorch. Nobody may write there."""
    return made_once(tmp_path_factory, "native", export_native)


def export_native(folder: Path) -> None:
    import torch

    from export.pipeline import Order, export
    from harmonic import zoo
    from harmonic.bundles import Bundle, Card
    from tests.support.laws import randomised

    torch.manual_seed(0)
    card = Card(architecture="harm_wrn10_1", classes=("cat", "dog", "eel"), pixels=PixelSpec(height=32, width=32))
    bundle = Bundle(card, randomised(zoo.create("harm_wrn10_1", 3)).eval())
    export(Order(bundle, folder, "pets", max_batch=16, stem="native", norm="adaptive"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"
