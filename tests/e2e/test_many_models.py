"""More models than places, and canaries, under a service of one process, of several workers, and of front ends."""

import os
import signal
import threading
from pathlib import Path

import httpx
import pytest

from service.client import Client
from tests.support.colours import publish_colours
from tests.support.faults import FOR_EVER, hangs_on_red, raises_on_red
from tests.support.images import plain
from tests.support.process import PATIENCE_S, let_it_talk, serving
from tests.support.several import children
from tests.support.waiting import until

pytestmark = pytest.mark.slow
SHAPES = {"one": ("--workers", "1"), "workers": ("--workers", "2"), "owner": ("--workers", "2", "--owner", "always")}
COLOURS = ("red", "green", "blue")


@pytest.fixture(params=SHAPES)
def shape(request):
    return SHAPES[request.param]


def split(url: str) -> dict[int, dict[str, object]]:
    found = httpx.get(f"{url}/v1/models/colours", timeout=PATIENCE_S).json()
    return {one["version"]: one for one in found["split"]}


@pytest.mark.timeout(240)
def test_twenty_models_for_three_places_lose_no_caller_even_where_a_process_is_killed(tmp_path: Path, shape):
    root = tmp_path / "models"
    for number in range(20):
        publish_colours(root, f"m{number}")
    wrong: list[str] = []

    def caller(number: int) -> None:
        for step in range(6):
            model, colour = f"m{(7 * number + 3 * step) % 20}", COLOURS[(number + step) % 3]
            if (found := client.classify(plain(colour), model=model).label) != colour:
                wrong.append(f"{model}: {found} for {colour}")
            done.append(model)

    done: list[str] = []
    flags = ("--max-models", "3", "--instances", "1", "--threads", "1")
    with serving(root, *shape, *flags) as (url, process), Client(url, patience_s=120, parallel=32) as client:
        let_it_talk(process)
        callers = [threading.Thread(target=caller, args=(number,)) for number in range(32)]
        for one in callers:
            one.start()
        if victims := children(process):
            until(lambda: len(done) > 60)
            os.kill(victims[0], signal.SIGKILL)
        for one in callers:
            one.join(PATIENCE_S * 3)
        assert wrong == []
        assert len(done) == 32 * 6
        until(lambda: httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200)
        listed = httpx.get(f"{url}/v1/models", timeout=PATIENCE_S).json()["models"]
        assert sum(version["state"] == "ready" for model in listed for version in model["versions"]) <= 3
        assert len(listed) == 20


@pytest.mark.timeout(240)
def test_a_canary_that_fails_is_taken_out_whoever_answers(tmp_path: Path, shape):
    root = tmp_path / "models"
    publish_colours(root)
    publish_colours(root, graph=raises_on_red())
    flags = ("--split", "colours={1:0.5,2:0.5}")
    with (
        serving(root, *shape, *flags, canary_requests="3") as (url, process),
        httpx.Client(timeout=PATIENCE_S) as client,
    ):
        let_it_talk(process)

        def taken_out() -> bool:
            for _ in range(20):
                client.post(f"{url}/v1/models/colours/classify", content=plain("red"))
            return "taken_out" in split(url)[2]

        until(taken_out)
        answers = [client.post(f"{url}/v1/models/colours/classify", content=plain("red")) for _ in range(30)]
        assert {(answer.status_code, answer.json()["version"]) for answer in answers} == {(200, 1)}
        assert "requests failed" in str(split(url)[2]["taken_out"])


@pytest.mark.timeout(240)
@pytest.mark.parametrize("shape", ["workers", "owner"], indirect=True)
def test_a_canary_that_hangs_costs_one_process_and_no_more(tmp_path: Path, shape):
    root = tmp_path / "models"
    publish_colours(root)
    publish_colours(root, graph=hangs_on_red(FOR_EVER))
    settings = {"deadline_ms": "3600000", "call_seconds": "0.2", "split": "colours={1:0.5,2:0.5}"}
    with serving(root, *shape, **settings) as (url, _):
        with pytest.raises(httpx.HTTPError):
            httpx.post(
                f"{url}/v1/models/colours/versions/2/classify", content=plain("red"), timeout=PATIENCE_S
            ).raise_for_status()
        until(lambda: httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200)
        until(lambda: "taken_out" in split(url)[2])
        with Client(url, patience_s=60) as client:
            assert {client.classify(plain("red"), model="colours").version for _ in range(30)} == {1}
