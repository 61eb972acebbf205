"""A process one of whose model calls never returns."""

import signal
import threading
from pathlib import Path

import httpx

from tests.support.colours import publish_colours
from tests.support.faults import FOR_EVER, hangs_on_red
from tests.support.images import plain
from tests.support.process import PATIENCE_S, serving
from tests.support.waiting import not_ready


def test_sigterm_ends_a_process_whose_model_hangs_and_its_caller_is_told(tmp_path: Path, workers: tuple[str, ...]):
    publish_colours(tmp_path / "models", graph=hangs_on_red(FOR_EVER))
    answers: list[httpx.Response] = []
    settings = {
        "instances": "1",
        "deadline_ms": "3600000",
        "call_seconds": "0.2",
        "grace_seconds": "1",
        "drain_seconds": "0",
    }
    with (
        serving(tmp_path / "models", *workers, **settings) as (address, process),
        httpx.Client(base_url=address, timeout=PATIENCE_S) as client,
    ):
        caller = threading.Thread(target=lambda: answers.append(client.post("/v1/classify", content=plain("red"))))
        caller.start()
        not_ready(address)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=PATIENCE_S)[1]
        caller.join(PATIENCE_S)
    assert process.returncode == 0, said
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(503, "draining")]
