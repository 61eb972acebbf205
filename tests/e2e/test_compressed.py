"""A network is compressed, exported and served: smaller on disk, fewer multiplications, its own answers; int8 too."""

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from export.layout import multiplications
from export.manifest import read_manifest
from export.pipeline import Order, export
from export.quantize import Speed
from harmonic.bundles import Bundle, bundle
from tests.support.app import serving
from tests.support.commands import done
from tests.support.compression import given, network
from tests.support.textures import write_textures

CLASSES = ("texture0", "texture1", "texture2")
ON_CPU = {"device": "cpu", "instances": 1}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, the same compressed to so many bytes and taught by it, and images."""
    base = tmp_path_factory.mktemp("compressed")
    write_textures(base / "images", classes=3, each=40, side=16)
    start = given(network())
    bundle.save(Bundle(start.card.model_copy(update={"classes": CLASSES}), start.model), base / "start")
    asked = ("--data", base / "images", "--images", 60, "--budget", "bytes=120KB", "--finetune", 1, "--no-latency")
    done("compress", base / "start", *asked, "--out", base / "small")
    return base


@pytest.fixture(scope="module")
def exported(base: Path) -> dict[str, Path]:
    """The versions of both; factored, so that nothing depends on this machine."""
    for name in ("start", "small"):
        done("export", base / name, "--name", name, "--repository", base / "models", "--layout", "factored")
    return {name: base / "models" / name / "1" for name in ("start", "small")}


def _png(image: np.ndarray) -> bytes:
    written = io.BytesIO()
    Image.fromarray(image).save(written, "PNG")
    return written.getvalue()


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def test_a_budget_of_bytes_holds_for_the_exported_file(base: Path, exported: dict[str, Path]) -> None:
    told = bundle.load(base / "small").card.metrics["compression"]
    assert told["finetuned_epochs"] == 1
    sizes = {name: (folder / "model.onnx").stat().st_size for name, folder in exported.items()}
    # A graph holds the fixed filters and its nodes besides the weights.
    assert sizes["small"] < 120_000 * 1.25
    assert sizes["small"] < 0.6 * sizes["start"]


def test_the_exported_file_multiplies_less_than_its_sources(exported: dict[str, Path]) -> None:
    counts = {name: multiplications(onnx.load(folder / "model.onnx")) for name, folder in exported.items()}
    plan = read_manifest(exported["small"]).variant().plan
    assert plan is not None
    assert plan.multiplications == (counts["start"], counts["small"])
    assert counts["small"] < 0.8 * counts["start"]


async def test_it_is_served_with_the_answers_of_its_bundle(base: Path, exported: dict[str, Path]) -> None:
    image = sorted((base / "images").rglob("*.png"))[0].read_bytes()
    expected = bundle.load(base / "small").predict(image)
    async with serving(base / "models", default_model="small", **ON_CPU) as (client, _):
        classes = (await client.post("/v1/classify", content=image)).json()["predictions"][0]["classes"]
        (version,) = (await client.get("/v1/models/small")).json()["versions"]
    found = {one["label"]: one["probability"] for one in classes}
    assert found == pytest.approx(dict(zip(CLASSES, expected.probabilities, strict=True)), abs=1e-4)
    assert version["metrics"]["compression"]["budget"] == "bytes=120000"
    assert version["size_bytes"] == (exported["small"] / "model.onnx").stat().st_size


async def test_int8_answers_its_goldens_by_name(base: Path) -> None:
    small, images = bundle.load(base / "small"), [base / "images"]
    precise = {"precisions": ("int8",), "calibration": images, "judges": images, "most_drop": 100.0}
    # Whether int8 is faster depends on the machine, and is no question here.
    order = Order(small, base / "precise", "small", race=lambda *_: Speed(2.0, 1.0, 8), layout="fused", **precise)
    folder = export(order).folder
    variant = read_manifest(folder).variant("int8")
    with np.load(folder / variant.goldens) as goldens:
        pictures, expected = goldens["images"], _softmax(goldens["logits"])
    assert (folder / variant.file).stat().st_size < 0.6 * (folder / "model.onnx").stat().st_size
    async with serving(base / "precise", precision="int8,fp32", **ON_CPU) as (client, _):
        for picture, wanted in zip(pictures, expected, strict=True):
            response = await client.post("/v1/models/small:int8/classify", content=_png(picture))
            assert response.headers["Harmonic-Precision"] == "int8"
            (prediction,) = response.json()["predictions"]
            found = {one["index"]: one["probability"] for one in prediction["classes"]}
            np.testing.assert_allclose([found[n] for n in range(3)], wanted, atol=variant.tolerance)
