"""From bundle to version: everything the service needs, or nothing at all."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from export.errors import ExportError, ParityError, RepositoryError
from export.manifest import check_files, read_manifest
from export.pipeline import Order, export
from export.predictor import version_predictor
from export.repository import versions
from export.verify import whole_net
from harmonic import zoo
from harmonic.bundles import Bundle, Card
from harmonic.evaluation import NetworkPredictor
from harmonic.pixels import prepare
from tests.support.laws import randomised


@pytest.fixture
def bundle() -> Bundle:
    torch.manual_seed(0)
    card = Card(
        architecture="harm_wrn10_1",
        arguments={"level": [None, 3, 2]},
        classes=("cat", "dog", "eel"),
        pixels=zoo.find("harm_wrn10_1").pixels,
        metrics={"test": {"top1": 0.5, "images": 10, "source": "ten pictures"}},
        license="CC0",
        notice="Not for navigation.",
    )
    return Bundle(card, randomised(zoo.create("harm_wrn10_1", 3, level=[None, 3, 2])).eval())


def test_a_version_holds_all_that_serving_needs(bundle: Bundle, tmp_path: Path) -> None:
    steps: list[str] = []
    published = export(Order(bundle, tmp_path, "pets", max_batch=16), tell=steps.append)
    assert published.folder == tmp_path / "pets" / "1"
    names = {path.name for path in published.folder.iterdir()}
    assert names == {"model.onnx", "manifest.json", "golden.npz", "spectrum.json", "MODEL_CARD.md"}
    manifest = read_manifest(published.folder)
    check_files(published.folder, manifest)
    assert manifest.classes == ("cat", "dog", "eel")
    assert manifest.parity.batches == (1, 2, 7, 16)
    assert (manifest.license, manifest.notice) == ("CC0", "Not for navigation.")
    assert manifest.files.keys() == names - {"manifest.json"}
    assert len(steps) >= 4


def test_weights_in_16_bits_halve_the_file_and_what_they_move_is_said(bundle: Bundle, tmp_path: Path) -> None:
    whole = export(Order(bundle, tmp_path, "pets"))
    steps: list[str] = []
    half = export(Order(bundle, tmp_path, "pets", weights="fp16"), tell=steps.append)
    assert any("16 bits" in step for step in steps)
    assert (half.folder / "model.onnx").stat().st_size < 0.6 * (whole.folder / "model.onnx").stat().st_size
    check_files(half.folder, read_manifest(half.folder))
    assert whole.parity.max_error < half.parity.max_error < 5e-3 * half.parity.largest_logit
    (variant,), (before,) = half.variants, whole.variants
    assert variant.precision == "fp32"
    assert before.tolerance < variant.tolerance < before.tolerance + 1e-2 * half.parity.largest_logit
    with np.load(half.folder / "golden.npz") as goldens:
        moved = np.abs(whole_net(half.folder / "model.onnx")(goldens["images"]) - goldens["logits"]).max()
    assert 1e-6 < moved <= variant.tolerance


def test_the_published_graph_answers_as_the_network(bundle: Bundle, tmp_path: Path) -> None:
    predictor = version_predictor(str(export(Order(bundle, tmp_path, "pets")).folder))
    assert predictor is not None
    images = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    expected = NetworkPredictor(bundle.model, bundle.card.classes, bundle.card.pixels)(images)
    np.testing.assert_allclose(predictor(images), expected, atol=1e-6)
    assert predictor.classes == bundle.card.classes


def test_a_layout_stands_in_the_manifest_and_on_the_card(bundle: Bundle, tmp_path: Path) -> None:
    fused, factored = (export(Order(bundle, tmp_path, "pets", layout=order)).folder for order in ("fused", "factored"))
    manifest = read_manifest(factored)
    plan = manifest.variant().plan
    assert plan is not None
    assert (manifest.schema_version, manifest.variant().layout) == (2, "factored")
    assert [layer.layer for layer in plan.layers] == [
        "groups.1.0.conv0",
        "groups.1.0.conv1",
        "groups.2.0.conv0",
        "groups.2.0.conv1",
    ]
    assert plan.multiplications[1] < plan.multiplications[0]
    assert "truncated layers are factored" in (factored / "MODEL_CARD.md").read_text()
    assert (factored / "model.onnx").stat().st_size < 0.75 * (fused / "model.onnx").stat().st_size
    assert manifest.parity.top1_agreement == 1
    # Older builds read what holds nothing new.
    assert json.loads((fused / "manifest.json").read_text())["schema_version"] == 1
    assert read_manifest(fused).variant().plan is None


def test_goldens_are_pytorchs_answers_to_synthetic_and_own_images(bundle: Bundle, tmp_path: Path) -> None:
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 256, (50, 80, 3), dtype=np.uint8))
    photo.save(tmp_path / "photo.png")
    folder = export(Order(bundle, tmp_path / "models", "pets", goldens=[tmp_path / "photo.png"])).folder
    with np.load(folder / "golden.npz") as goldens:
        images, logits = goldens["images"], goldens["logits"]
    assert np.array_equal(images[-1], prepare(photo, bundle.card.pixels))
    assert len(images) > 4
    with torch.no_grad():
        predictor = NetworkPredictor(bundle.model, bundle.card.classes, bundle.card.pixels)
        softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(softmax, predictor(images), atol=1e-6)


def test_the_spectrum_stands_beside_the_weights(bundle: Bundle, tmp_path: Path) -> None:
    folder = export(Order(bundle, tmp_path, "pets")).folder
    layers = json.loads((folder / "spectrum.json").read_text())
    assert len(layers) == 7  # the root and two in each of three blocks


def test_triton_reads_what_lies_beside_the_versions(bundle: Bundle, tmp_path: Path) -> None:
    export(Order(bundle, tmp_path, "pets", max_batch=8))
    config = (tmp_path / "pets" / "config.pbtxt").read_text()
    assert 'platform: "onnxruntime_onnx"' in config
    assert "max_batch_size: 8" in config
    assert "dims: [ 32, 32, 3 ]" in config
    assert (tmp_path / "pets" / "classes.txt").read_text().splitlines() == ["cat", "dog", "eel"]


def test_an_existing_version_is_refused_before_any_work(bundle: Bundle, tmp_path: Path) -> None:
    export(Order(bundle, tmp_path, "pets", version=2))
    steps: list[str] = []
    with pytest.raises(RepositoryError, match="never overwritten"):
        export(Order(bundle, tmp_path, "pets", version=2), tell=steps.append)
    assert steps == []


def test_a_network_whose_graph_answers_otherwise_is_not_published(bundle: Bundle, tmp_path: Path) -> None:
    with torch.no_grad():
        bundle.model.get_parameter("head.bias")[0] = torch.inf
    with pytest.raises(ParityError):
        export(Order(bundle, tmp_path, "pets"))
    assert list(tmp_path.iterdir()) == []


def test_a_golden_that_is_no_image_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ExportError, match=r"notes\.txt"):
        export(Order(bundle, tmp_path / "models", "pets", goldens=[tmp_path / "notes.txt"]))
    assert versions(tmp_path / "models", "pets") == []
