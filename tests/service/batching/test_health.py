"""What operators and callers see of a model that fails or hangs: probes, lists, metrics, log, the other versions."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from numpy.typing import NDArray

from service.batching import calls_linger
from service.runtime.session import Session
from tests.support.app import PATIENCE_S, Client, refused, serving, top
from tests.support.colours import publish_colours
from tests.support.control import classified, control, index, ok
from tests.support.faults import gives_no_number_on_red, is_red, raises_on_red
from tests.support.faulty import Hang
from tests.support.images import plain

HANG: dict[str, Any] = {"instances": 1, "call_seconds": 0.1, "deadline_ms": 200}


@pytest.fixture(scope="module", autouse=True)
def nothing_hangs_at_the_end() -> Iterator[None]:
    """ONNX Runtime aborts the process when a call comes back to an interpreter that has ended."""
    yield
    assert not calls_linger(PATIENCE_S)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def hung(monkeypatch) -> Iterator[Hang]:
    """From here on a call with a red image returns when this says so, and not before."""
    hang, run = Hang(), Session.run

    def waits(session: Session, images: NDArray[Any]) -> NDArray[Any]:
        if is_red(images):
            hang(images)
        return run(session, images)

    monkeypatch.setattr(Session, "run", waits)
    yield hang
    hang.over.set()


async def stuck(client: Client, hung: Hang, url: str = "/v1/classify") -> asyncio.Future[httpx.Response]:
    """A request whose call hangs: on a busy machine an earlier one may be out of time before its call begins."""
    hung.entered.clear()
    while True:
        asked = asyncio.ensure_future(client.post(url, content=plain("red")))
        while not hung.entered.is_set() and not asked.done():
            await asyncio.sleep(0)
        if hung.entered.is_set():
            return asked


async def until(client: Client, url: str, status: int) -> None:
    while (await client.get(url)).status_code != status:
        await asyncio.sleep(0)


async def answers(client: Client, version: int) -> None:
    """Return as soon as that version answers: on a busy machine any call may seem to hang for a moment."""
    while True:
        response = await client.post("/v1/classify", content=plain("green"))
        if response.status_code == 200 and int(response.json()["version"]) == version:
            return


async def state(client: Client, version: int = 1) -> dict[str, Any]:
    versions = (await client.get("/v1/models")).json()["models"][0]["versions"]
    found: dict[str, Any] = next(one for one in versions if one["version"] == version)
    return found


async def metric(client: Client, name: str) -> float:
    lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


@pytest.mark.parametrize(
    ("fault", "failed_calls", "images", "word"),
    [(raises_on_red, 2, 3, "indices element out of data bounds"), (gives_no_number_on_red, 0, 4, "1 of 4 images")],
)
async def test_an_image_that_a_model_cannot_bear_fails_alone(root, fault, failed_calls, images, word, caplog):
    publish_colours(root, graph=fault())

    async with serving(root, max_batch=4, window_ms=60_000) as (client, _):
        colours = ["green", "red", "blue", "green"]
        responses = await asyncio.gather(*(client.post("/v1/classify", content=plain(name)) for name in colours))
        refused(responses.pop(1), 500, "model_failed")
        assert [top(response) for response in responses] == [["green"], ["blue"], ["green"]]
        assert await metric(client, "harmonic_failed_calls_total{") == failed_calls
        assert await metric(client, "harmonic_images_total{") == images
        assert (await client.get("/readyz")).status_code == 200
    assert word in caplog.text


async def test_an_image_that_a_model_cannot_bear_takes_no_model_out_of_service(root):
    publish_colours(root, graph=raises_on_red())

    async with serving(root, call_failures=3) as (client, _):
        for _ in range(12):
            refused(await client.post("/v1/classify", content=plain("red")), 500, "model_failed")
            assert (await client.get("/readyz")).status_code == 200
        assert await metric(client, "harmonic_failed_calls_total{") == 12
        assert await classified(client) == 1


async def test_a_version_that_hangs_is_not_ready_and_comes_back_when_its_call_returns(root, hung, caplog):
    publish_colours(root)

    async with serving(root, **HANG) as (client, _):
        assert (await client.get("/readyz")).status_code == 200
        refused(await (await stuck(client, hung)), 504, "deadline_exceeded")
        await until(client, "/readyz", 503)
        assert (await client.get("/v2/health/ready")).status_code == 503
        refused(await client.post("/v1/classify", content=plain("green")), 503, "not_ready")
        refused(await client.post("/v1/models/colours/versions/1/classify", content=plain("green")), 503, "not_ready")
        found = await state(client)
        assert (found["state"], "has not returned within 0.1 s" in found["reason"]) == ("broken", True)
        assert (await index(client))["colours", "1"][0] == "UNAVAILABLE"
        assert await metric(client, "harmonic_model_ready{") == 0
        assert await metric(client, "harmonic_unsound_instances{") == 1
        await until(client, "/livez", 503)
        assert (await client.get("/v2/health/live")).status_code == 503
        hung.over.set()
        await until(client, "/readyz", 200)
        assert (await client.get("/livez")).status_code == 200
        await answers(client, 1)
        assert (await state(client))["state"] == "ready"
    assert "0 of 1 instances take work" in caplog.text
    assert "answers again" in caplog.text


async def test_a_version_with_another_instance_serves_on_and_says_what_is_wrong(root, hung):
    publish_colours(root)

    async with serving(root, instances=2, call_seconds=0.1, deadline_ms=2000) as (client, _):
        refused(await (await stuck(client, hung)), 504, "deadline_exceeded")
        while "1 of 2 instances take work" not in (await state(client)).get("remark", ""):
            assert (await client.get("/readyz")).status_code == 200
        await answers(client, 1)


async def test_an_older_version_answers_while_the_newest_hangs(root, hung):
    publish_colours(root)
    publish_colours(root)

    async with serving(root, **HANG) as (client, _):
        await answers(client, 2)
        newest = await stuck(client, hung, "/v1/models/colours/versions/2/classify")
        refused(await newest, 504, "deadline_exceeded")
        while (await state(client, 2))["state"] != "broken":
            assert (await client.get("/readyz")).status_code == 200
        await answers(client, 1)
        hung.over.set()
        while (await state(client, 2))["state"] != "ready":
            await client.get("/readyz")
        await answers(client, 2)


async def test_a_version_that_hangs_is_replaced_and_unloaded_without_waiting_for_it(root, hung):
    publish_colours(root)

    async with serving(root, model_control="explicit", load_models="*", **HANG) as (client, _):
        red = await stuck(client, hung)
        await until(client, "/readyz", 503)
        ok(await control(client, "load"))  # opens it anew
        await answers(client, 1)
        refused(await red, 504, "deadline_exceeded")
        again = await stuck(client, hung)
        await until(client, "/readyz", 503)
        ok(await control(client, "unload"))
        refused(await again, 504, "deadline_exceeded")
        publish_colours(root)
        ok(await control(client, "load"))
        await answers(client, 2)
