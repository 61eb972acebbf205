"""Whatever a model's fit, mode and dtype, and whichever form of it is asked: what is evaluated is what is served."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

import harmonic
from export.pipeline import Order, export
from harmonic import data, zoo
from harmonic.bundles import bundle
from harmonic.evaluation.evaluate import evaluate, open_predictor
from harmonic.pixels import HairRemoval, PixelSpec
from harmonic.zoo.fourier import MNIST
from harmonic.zoo.wrn import CIFAR10
from tests.support.images import encoded, noise, oriented, smooth
from tests.support.laws import randomised
from tests.support.process import serving

CLASSES = ("first", "second", "third")
MODELS: dict[str, tuple[str, dict[str, object], PixelSpec]] = {
    "crop": ("harm_lesion", {"width": 4}, PixelSpec(height=16, width=20, crop_fraction=0.875)),
    "squash": ("harm_lesion", {"width": 4}, PixelSpec(height=16, width=12, fit="squash", interpolation="lanczos")),
    "reduced": ("harm_lesion", {"width": 4}, PixelSpec(height=16, width=16, jpeg_scale="reduced")),
    "hair": ("harm_lesion", {"width": 4}, PixelSpec(height=24, width=24, fit="squash", hair=HairRemoval(length=0.2))),
    "hamming": ("hamming_resnet18", {"kernel": 5, "width": 0.0625, "factorised": True}, CIFAR10),
    "spectral": ("fourier_mnist", {"widths": [3], "hidden": 8}, MNIST),
    "spectral-plain": ("scale_cnn", {"widths": [2, 3, 4, 4]}, MNIST),
}
FORMS = ("bundle", "version", "service")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every size from 8 to 28 and some beyond, square and not; and JPEGs, of which some are much larger than needed."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    sizes = [(side, side) for side in range(8, 29)] + [(9, 14), (31, 20), (60, 45), (100, 100)]
    for number, (rows, columns) in enumerate(sizes):
        place = root / CLASSES[number % 3]
        place.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (rows, columns, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:02}.png")
    for number, size in enumerate([(20, 30), (150, 200), (400, 130)]):
        (root / CLASSES[number] / "large.jpg").write_bytes(encoded(smooth(*size), "JPEG", exif=oriented(6)))
    return root


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], str]]:
    """What `harmonic evaluate` is given, by model and form."""
    root = tmp_path_factory.mktemp("models")
    for name, (architecture, arguments, pixels) in MODELS.items():
        torch.manual_seed(0)
        network = randomised(zoo.create(architecture, len(CLASSES), **arguments)).eval()
        said = {"license": "CC-BY-NC-4.0", "notice": "Research, not a medical device."} if name == "crop" else {}
        card = bundle.Card(architecture=architecture, arguments=arguments, classes=CLASSES, pixels=pixels, **said)
        bundle.save(bundle.Bundle(card, network), root / "bundles" / name)
        export(Order(bundle.load(root / "bundles" / name), root / "served", name, max_batch=16))
    with serving(root / "served") as (address, _):
        yield {
            (name, form): {
                "bundle": str(root / "bundles" / name),
                "version": str(root / "served" / name / "1"),
                "service": f"{address}/v1/models/{name}",
            }[form]
            for name in MODELS
            for form in FORMS
        }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", MODELS)
def test_evaluation_gives_the_answers_that_callers_get(name, form, targets, pictures):
    measured = evaluate(open_predictor(targets[name, form]), data.read([pictures], "test"))

    address = f"{targets[name, 'service']}/classify"
    for file, found in zip(sorted(pictures.glob("*/*")), measured.probabilities, strict=True):
        answer = httpx.post(address, content=file.read_bytes(), params={"top": 3}, timeout=60)
        served = {c["label"]: c["probability"] for c in answer.json()["predictions"][0]["classes"]}
        assert found.tolist() == pytest.approx([served[label] for label in CLASSES], abs=1e-4), file.name


@pytest.mark.parametrize("name", MODELS)
def test_a_bundle_in_python_predicts_what_callers_get(name, targets, pictures):
    files = sorted(pictures.glob("*/*"))
    address = f"{targets[name, 'service']}/classify"
    for file, found in zip(files, harmonic.load(targets[name, "bundle"]).predict(files), strict=True):
        answer = httpx.post(address, content=file.read_bytes(), params={"top": 3}, timeout=60)
        served = [(c["label"], c["probability"]) for c in answer.json()["predictions"][0]["classes"]]
        assert dict(found.top()) == pytest.approx(dict(served), abs=1e-4), file.name


def test_an_image_below_a_models_smallest_size_is_refused_with_the_reason(targets):
    answer = httpx.post(f"{targets['spectral', 'service']}/classify", content=encoded(noise(7)), timeout=60)
    assert answer.status_code == 422
    assert "reads from 8" in answer.text


def test_licence_and_notice_reach_the_models_metadata(targets):
    said = httpx.get(targets["crop", "service"], timeout=60).text
    assert "CC-BY-NC-4.0" in said
    assert "not a medical device" in said
