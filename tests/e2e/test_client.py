"""Callers with the project's client lose nothing while the service is killed, started again, and stopped."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.client import Client
from tests.support.colours import publish_colours
from tests.support.images import plain
from tests.support.process import PATIENCE_S, free_port, serving
from tests.support.waiting import until

COLOURS = ("red", "green", "blue")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_service_that_goes_and_comes_again_costs_its_callers_time_and_nothing_else(tmp_path, number):
    publish_colours(tmp_path)
    port, over, answered = str(free_port()), threading.Event(), []

    def caller(client: Client, start: int) -> None:
        turn = start
        while not over.is_set():
            wanted = [COLOURS[(turn + step) % 3] for step in range(5)]
            found = [answer.label for answer in client.classify([plain(colour) for colour in wanted])]
            answered.append(found == wanted)
            turn += 1

    def more() -> None:
        enough = len(answered) + 30
        until(lambda: len(answered) >= enough or any(call.done() for call in calls))

    with Client(f"http://127.0.0.1:{port}", parallel=6) as client, ThreadPoolExecutor(6) as pool:
        try:
            with serving(tmp_path, "--port", port, drain_seconds="0") as (_, first):
                calls = [pool.submit(caller, client, start) for start in range(6)]
                more()
                first.send_signal(number)
                first.wait(PATIENCE_S)
            with serving(tmp_path, "--port", port):
                more()
                over.set()
                for call in calls:
                    call.result(PATIENCE_S)
        finally:
            over.set()
    assert len(answered) >= 60
    assert all(answered)
