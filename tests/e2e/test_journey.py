"""The whole road: train, export, serve in a real process, ask over HTTP, terminate under load."""

import asyncio
import io
import json
import signal
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from harmonic.data.sources import Images, read
from harmonic.evaluation.evaluate import open_predictor
from harmonic.pixels import prepare
from tests.support.commands import done
from tests.support.forks import run
from tests.support.journey import Trained
from tests.support.process import serving


@pytest.fixture(scope="module")
def models(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that the network was exported to."""
    models = tmp_path_factory.mktemp("road") / "models"
    ended = run("export", trained.bundle, "--repository", models, "--name", "tiny")
    assert ended.returncode == 0, ended.stderr
    return models


def some(trained: Trained, count: int) -> Images:
    """Pictures in mixed order."""
    every = read([trained.pictures], "test")
    return every.subset(np.random.default_rng(0).permutation(len(every))[:count])


def test_training_beats_chance_threefold(trained: Trained) -> None:
    card = json.loads((trained.bundle / "bundle.json").read_text())
    assert card["metrics"]["test"]["top1"] > 0.3


def test_the_version_evaluates_as_the_bundle_does(trained: Trained, models: Path) -> None:
    targets = (trained.bundle, models / "tiny" / "1")
    bundle, version = (json.loads(done("evaluate", each, "--data", trained.pictures, "--json")) for each in targets)
    assert version["confusion"] == bundle["confusion"]


async def test_the_service_answers_as_the_network_in_batches(trained: Trained, models: Path) -> None:
    images = some(trained, 300)
    predictor = open_predictor(str(trained.bundle))
    prepared = np.stack([prepare(images.open(i), predictor.pixels) for i in range(len(images))])
    expected = [predictor.classes[index] for index in predictor(prepared).argmax(axis=1)]
    with serving(models) as (url, _):
        answers = await _classify_all(url, images)
        metrics = httpx.get(f"{url}/metrics").text
    assert [answer.json()["predictions"][0]["classes"][0]["label"] for answer in answers] == expected
    assert _value(metrics, "harmonic_batch_size_sum") / _value(metrics, "harmonic_batch_size_count") > 1


async def test_every_accepted_request_is_answered_when_the_service_is_terminated_under_load(
    trained: Trained, models: Path
) -> None:
    images = some(trained, 400)
    with serving(models) as (url, process):
        outcomes = await _load_and_terminate(url, images, process)
        assert process.wait(timeout=60) == 0
    sent_before = [outcome for early, outcome in outcomes if early]
    assert [outcome for outcome in sent_before if not isinstance(outcome, httpx.Response)] == []
    codes = [outcome.status_code for _, outcome in outcomes if isinstance(outcome, httpx.Response)]
    assert set(codes) <= {200, 503}
    assert codes.count(200) > 1


async def _classify_all(url: str, images: Images) -> list[httpx.Response]:
    async with httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=32), timeout=60) as client:
        return await asyncio.gather(*(_classify(client, images.open(i)) for i in range(len(images))))


async def _load_and_terminate(
    url: str, images: Images, process: "subprocess.Popen[str]"
) -> list[tuple[bool, httpx.Response | httpx.TransportError]]:
    """Post from 32 callers; once batches run, terminate. Each outcome says whether it was sent before that."""
    terminated, callers = asyncio.Event(), asyncio.Semaphore(32)

    async def post(client: httpx.AsyncClient, index: int) -> tuple[bool, httpx.Response | httpx.TransportError]:
        async with callers:
            early = not terminated.is_set()
            try:
                return early, await _classify(client, images.open(index))
            except httpx.TransportError as error:
                return early, error

    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        posts = [asyncio.create_task(post(client, index)) for index in range(len(images))]
        while _value((await client.get("/metrics")).text, "harmonic_batch_size_count") < 2:
            await asyncio.wait(posts, timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
        terminated.set()
        process.send_signal(signal.SIGTERM)
        return await asyncio.gather(*posts)


async def _classify(client: httpx.AsyncClient, image: Image.Image) -> httpx.Response:
    return await client.post("/v1/classify", content=_png(image), params={"top_k": 1})


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


def _value(metrics: str, name: str) -> float:
    return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines() if line.startswith(name))
