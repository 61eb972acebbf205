"""`harmonic export` tells what it cannot read before it begins."""

from pathlib import Path

import pytest
import torch

from harmonic import zoo
from harmonic.bundles.bundle import Bundle, Card, save
from harmonic.pixels import PixelSpec
from tests.support.commands import done, refused
from tests.support.stores import in_memory, stored


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    card = Card(architecture="harm_wrn10_0.5", classes=("cat", "dog"), pixels=PixelSpec(height=12, width=12))
    save(Bundle(card, zoo.create("harm_wrn10_0.5", 2)), tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_bundle_becomes_a_version_with_the_card_that_was_given(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("# Hunde und ねこ\n", encoding="utf-8")
    options = ("--repository", tmp_path / "models", "--name", "pets", "--card", tmp_path / "card.md", "--max-batch", 2)
    shown = done("export", bundle, *options)
    version = tmp_path / "models" / "pets" / "1"
    assert f"Published {version}. Against PyTorch at batches 1, 2: max error" in shown
    assert (version / "MODEL_CARD.md").read_text(encoding="utf-8") == "# Hunde und ねこ\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--card", "gone.md"), "gone.md: cannot be read as a model card"),
        (("--card", "bytes"), "bytes: cannot be read as a model card"),
        (("--golden", "gone.png"), "the golden image gone.png cannot be read"),
        (("--golden", "bytes"), "the golden image bytes cannot be read"),
        (("--repository", "bytes"), "bytes/pets: cannot be written"),
        (("--name", "../pets"), "cannot be a model's name"),
        (("--norm", "adaptive"), "Export with --stem native"),
    ],
)
def test_what_cannot_be_is_told(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, str], message: str
) -> None:
    monkeypatch.chdir(bundle.parent)
    Path("bytes").write_bytes(b"\xff\xfe\x00")
    assert message in refused("export", bundle, "--repository", "models", "--name", "pets", *options)
    assert not Path("models").exists()


def test_a_bundle_becomes_a_version_of_a_store(bundle: Path) -> None:
    store = in_memory()
    shown = done("export", bundle, "--repository", store, "--name", "pets", "--max-batch", 2)
    assert f"Published {store}/pets/1. Against PyTorch" in shown
    assert f"Next: harmonic serve --repository {store} --default-model pets" in shown
    assert {"pets/1/manifest.json", "pets/1/model.onnx", "pets/config.pbtxt"} <= stored(store)
