"""Small textures in classes, and a small network whose weights mean nothing yet."""

import pytest
import torch

from harmonic import zoo
from harmonic.bundles import Bundle, Card, bundle
from harmonic.data import Images
from harmonic.pixels import PixelSpec
from harmonic.transfer import Transferred, Wanted, fit, survey
from tests.support.pictures import CLASSES, encoded, read, texture, write_zip

LABELS = ("<b>a", "b", "c")  # class names are people's own, and no HTML


@pytest.fixture(scope="package")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(1)
    card = Card(architecture="harm_wrn10_0.5", classes=("x", "y"), pixels=PixelSpec(height=12, width=12))
    folder = tmp_path_factory.mktemp("backbone") / "bundle"
    bundle.save(Bundle(card, zoo.create("harm_wrn10_0.5", 2)), folder)
    return str(folder)


@pytest.fixture(scope="package")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    members = {
        f"{label}/{seed}.png": encoded(texture(kind, seed))
        for label, kind in zip(LABELS, CLASSES, strict=True)
        for seed in range(14)
    }
    return read(write_zip(tmp_path_factory.mktemp("data") / "textures.zip", members))


@pytest.fixture(scope="package")
def fitted(backbone: str, images: Images) -> Transferred:
    return fit(survey(images), Wanted(backbone, sides=(12, 16)))
