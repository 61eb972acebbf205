"""The model that comes with the project, served by the real process, on the real test images."""

import asyncio
import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from export.manifest import check_files, read_manifest
from harmonic.data.sources import Images, read
from harmonic.evaluation.evaluate import Evaluation, evaluate, open_predictor
from tests.support.process import serving

MODELS = Path(__file__).parents[2] / "models"
VERSION = MODELS / "cifar10" / "1"


def test_it_is_whole_small_and_says_what_it_is_for() -> None:
    manifest = read_manifest(VERSION)
    check_files(VERSION, manifest)
    assert sum(path.stat().st_size for path in VERSION.iterdir()) <= 12e6
    card = (VERSION / "MODEL_CARD.md").read_text()
    assert f"{manifest.metrics['test']['top1']:.2%}" in card
    assert "## Limits" in card


@pytest.fixture(scope="module")
def images() -> Images:
    path = Path(os.environ.get("HARMONIC_DATA", "/nonexistent")) / "cifar10-test.zip"
    if not path.is_file():
        pytest.skip("needs cifar10-test.zip in HARMONIC_DATA")
    return read([path], "test")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(MODELS, "--default-model", "cifar10", "--precision", "fp32,int8") as (address, _):
        yield address


@pytest.mark.data
@pytest.mark.parametrize("kind", ["WebP", "PNG"])
@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_every_image_gets_the_label_that_evaluation_gives_it(
    images: Images, url: str, kind: str, count: int
) -> None:
    chosen = images.subset(np.arange(count) * (len(images) // count))
    predictor = open_predictor(str(VERSION))
    expected = [predictor.classes[i] for i in evaluate(predictor, chosen).probabilities.argmax(axis=1)]
    before = _batches(url)
    found = await _labels(url, _encoded(chosen, kind))
    assert found == expected
    calls, rows = (now - then for now, then in zip(_batches(url), before, strict=True))
    assert rows == count
    assert rows / calls > 1, "the service did not batch"


@pytest.mark.data
def test_its_int8_variant_answers_as_its_graph_and_nearly_as_float32(images: Images, url: str) -> None:
    chosen = images.subset(np.arange(0, len(images), 20))
    served = evaluate(open_predictor(f"{url}/v1/models/cifar10:int8"), chosen)
    graph = evaluate(open_predictor(f"{VERSION}:int8"), chosen)
    whole = evaluate(open_predictor(f"{url}/v1/models/cifar10"), chosen)
    # Batches of other sizes may round a pixel's last bit the other way.
    assert _agreement(served, graph) >= 0.99
    assert 0.97 <= _agreement(served, whole) < 1
    assert abs(served.top(1) - whole.top(1)) <= 0.012  # 0.5 points of all images; these are 500


@pytest.mark.data
@pytest.mark.slow
def test_its_int8_variant_loses_what_its_manifest_says(images: Images) -> None:
    measured = read_manifest(VERSION).variant("int8").measured
    assert measured is not None
    assert measured.drop is not None
    assert measured.drop <= 0.5
    assert evaluate(open_predictor(f"{VERSION}:int8"), images).top(1) == pytest.approx(measured.top1, abs=1e-3)


def _agreement(first: Evaluation, second: Evaluation) -> float:
    return float((first.probabilities.argmax(axis=1) == second.probabilities.argmax(axis=1)).mean())


@pytest.mark.data
@pytest.mark.slow
def test_its_accuracy_is_what_its_manifest_says(images: Images) -> None:
    measured = evaluate(open_predictor(str(VERSION)), images)
    assert measured.top(1) == pytest.approx(read_manifest(VERSION).metrics["test"]["top1"], abs=5e-4)
    assert measured.top(1) >= 0.9


def _encoded(images: Images, kind: str) -> list[bytes]:
    """The files themselves where they are of that kind, else the same pixels in another lossless file."""
    if kind == "WebP":
        with zipfile.ZipFile(Path(os.environ["HARMONIC_DATA"]) / "cifar10-test.zip") as archive:
            return [archive.read("/".join(Path(name).parts[-2:])) for name in images.names]
    return [_png(images.open(index)) for index in range(len(images))]


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


async def _labels(url: str, bodies: list[bytes]) -> list[str]:
    """The likeliest class of every body, asked for by 32 callers at once."""
    callers = asyncio.Semaphore(32)  # the client's own pool searches all that wait for every one that ends
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def post(body: bytes) -> httpx.Response:
            async with callers:
                return await client.post("/v1/classify", content=body, params={"top_k": 1})

        answers = await asyncio.gather(*(post(body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    return [json.loads(answer.content)["predictions"][0]["classes"][0]["label"] for answer in answers]


def _batches(url: str) -> tuple[float, float]:
    """Model calls and images so far."""
    lines = [line for line in httpx.get(f"{url}/metrics").text.splitlines() if line.startswith("harmonic_batch_size_")]
    return tuple(
        sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"harmonic_batch_size_{end}"))
        for end in ("count", "sum")
    )  # type: ignore[return-value]
