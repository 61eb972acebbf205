"""One network of each further family, exported and asked over HTTP: the service gives PyTorch's answers."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from export.pipeline import Order, export
from harmonic import zoo
from harmonic.bundles import Classifier, bundle
from harmonic.pixels import HairRemoval, PixelSpec, prepare
from harmonic.zoo.fourier import MNIST
from harmonic.zoo.lesion import LESION
from harmonic.zoo.wrn import CIFAR10
from tests.support.process import serving

CLASSES = ("first", "second", "third")
FAMILIES: dict[str, tuple[str, dict[str, object], PixelSpec]] = {
    "hamming": ("hamming_resnet18", {"kernel": 5, "width": 0.0625, "factorised": True}, CIFAR10),
    "lesion": ("harm_lesion", {"width": 4}, LESION.model_copy(update={"hair": HairRemoval()})),
    "fourier": ("fourier_mnist", {"widths": [3], "hidden": 8}, MNIST),
}


@pytest.fixture(scope="module")
def bundles() -> dict[str, bundle.Bundle]:
    made = {}
    for name, (architecture, arguments, pixels) in FAMILIES.items():
        torch.manual_seed(0)
        network = zoo.create(architecture, len(CLASSES), **arguments).eval()
        card = bundle.Card(
            architecture=architecture,
            arguments=arguments,
            classes=CLASSES,
            pixels=pixels,
            license="CC-BY-NC-4.0" if name == "lesion" else None,
            notice="Research, not a medical device." if name == "lesion" else None,
        )
        made[name] = bundle.Bundle(card, network)
    return made


@pytest.fixture(scope="module")
def url(bundles: dict[str, bundle.Bundle], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    repository: Path = tmp_path_factory.mktemp("models")
    for name, made in bundles.items():
        export(Order(made, repository, name, max_batch=4))
    with serving(repository) as (address, _):
        yield address


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("side", [9, 14, 28, 50])
def test_the_service_gives_the_networks_probabilities(name, side, bundles, url):
    grain = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    image, file = Image.fromarray(grain), io.BytesIO()
    image.save(file, "PNG")
    card = bundles[name].card
    with torch.inference_mode():
        pixels = torch.from_numpy(np.stack([prepare(image, card.pixels)]))
        expected = Classifier(bundles[name].model, card.pixels).eval()(pixels).softmax(1)[0]

    answer = httpx.post(f"{url}/v1/models/{name}/classify", content=file.getvalue(), params={"top": 3}, timeout=60)

    found = {c["label"]: c["probability"] for c in answer.json()["predictions"][0]["classes"]}
    assert [found[label] for label in CLASSES] == pytest.approx(expected.tolist(), abs=1e-4)


def test_an_image_below_a_models_smallest_size_is_refused_with_the_reason(url):
    file = io.BytesIO()
    Image.new("L", (7, 7)).save(file, "PNG")

    answer = httpx.post(f"{url}/v1/models/fourier/classify", content=file.getvalue(), timeout=60)

    assert answer.status_code == 422
    assert "reads from 8" in answer.text


def test_licence_and_notice_reach_the_models_metadata(url):
    said = httpx.get(f"{url}/v1/models/lesion", timeout=60).json()

    assert "CC-BY-NC-4.0" in str(said)
    assert "not a medical device" in str(said)
