"""Over HTTP: an answer that depends on traffic says so, and the traffic can be forgotten, by whoever may."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.app import Client, got, refused, serving
from tests.support.images import encoded, noise, plain

ADAPTIVE = {"adapt_images": 16, "threads": 1, "decode_threads": 1, "device": "cpu"}
RESET = "/v1/control/models/pets/norm/reset"


async def answer(client: Client, content: bytes) -> list[float]:
    response = await client.post("/v1/classify", content=content)
    assert response.status_code == 200, response.text
    assert (response.headers.get("Harmonic-Norm"), response.json().get("norm")) == ("adaptive", "adaptive")
    classes = response.json()["predictions"][0]["classes"]
    return [score["probability"] for score in sorted(classes, key=lambda score: score["index"])]


async def infer(client: Client) -> Any:
    images = {"name": "images", "shape": [1, 32, 32, 3], "datatype": "UINT8", "data": [0] * 3072}
    return await client.post("/v2/models/pets/infer", json={"inputs": [images]})


async def test_every_answer_of_an_adaptive_norm_is_marked(native_repository: Path) -> None:
    async with serving(native_repository, **ADAPTIVE) as (client, _):
        await answer(client, plain("green"))
        response = await infer(client)
        assert (response.status_code, response.headers["Harmonic-Norm"]) == (200, "adaptive")
        (version,) = (await client.get("/v1/models/pets")).json()["versions"]
        assert (version["variant"], version["norm"]) == ("native", "adaptive")


async def test_no_answer_of_a_frozen_norm_is(native_repository: Path) -> None:
    async with serving(native_repository, threads=1) as (client, _):
        for response in (await client.post("/v1/classify", content=plain("green")), await infer(client)):
            assert response.status_code == 200, response.text
            assert "Harmonic-Norm" not in response.headers
            assert "norm" not in response.json()
    (version,) = (await got(native_repository, "/v1/models/pets")).json()["versions"]
    assert version["variant"] == "native"
    assert "norm" not in version


async def test_traffic_moves_the_answers_and_a_reset_brings_them_back(native_repository: Path) -> None:
    async with serving(native_repository, model_control="explicit", load_models="*", **ADAPTIVE) as (client, _):
        first = await answer(client, plain("green"))
        for _number in range(20):
            await answer(client, plain("red"))
        moved = await answer(client, plain("green"))
        assert (await client.post(RESET)).status_code == 200
        assert not np.allclose(moved, first, atol=1e-3)
        assert np.allclose(await answer(client, plain("green")), first, atol=1e-4)


@pytest.mark.parametrize(
    ("url", "control", "status", "code"),
    [
        (RESET, "none", 400, "control_refused"),
        (RESET, "poll", 400, "control_refused"),
        ("/v1/control/models/none/norm/reset", "explicit", 404, "model_not_found"),
    ],
)
async def test_a_reset_is_for_those_who_control_models(
    native_repository: Path, url: str, control: str, status: int, code: str
) -> None:
    async with serving(native_repository, model_control=control, **ADAPTIVE) as (client, _):
        refused(await client.post(url), status, code)


async def test_answers_while_a_reset_happens_are_answers(native_repository: Path) -> None:
    async with serving(native_repository, model_control="explicit", load_models="*", **ADAPTIVE) as (client, _):
        asked = [answer(client, encoded(noise(32, seed))) for seed in range(12)]
        resets = [client.post(RESET) for _ in range(6)]
        done = await asyncio.gather(*asked, *resets)
        assert [reset.status_code for reset in done[len(asked) :]] == [200] * len(resets)
