"""The client of programs without an event loop: threads share it, a fork has its own, and its end is an end."""

import gc
import multiprocessing
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.client import Client, ClientError, Retries
from tests.support.answers import CLASSIFIED
from tests.support.images import plain
from tests.support.stub_service import http, stub
from tests.support.waiting import until

COLOURS = ("red", "green", "blue")


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "harmonic-client"]


def test_threads_share_one_client_and_each_gets_its_own_answer(url):
    before = len(threads())
    with Client(url, parallel=4) as client, ThreadPoolExecutor(16) as pool:
        asked = [COLOURS[number % 3] for number in range(96)]
        assert [each.label for each in pool.map(lambda colour: client.classify(plain(colour)), asked)] == asked
        assert len(threads()) == before + 1
    assert len(threads()) == before


def test_it_answers_as_the_asynchronous_one(url, tmp_path):
    path = tmp_path / "blue.png"
    path.write_bytes(plain("blue"))
    with Client(url) as client:
        assert client.ready()
        assert client.classify(path).label == client.classify(str(path)).label == "blue"
        assert [each.label for each in client.classify(plain(colour) for colour in COLOURS)] == list(COLOURS)
        rows = np.zeros((3, 8, 8, 3), np.uint8)
        assert client.infer(rows, model="colours").shape == (3, 3)
        assert client.model("colours").name == client.models()[0].name == "colours"


def test_a_closed_client_says_so(url):
    client = Client(url)
    client.close()
    client.close()
    with pytest.raises(ClientError, match="closed"):
        client.ready()


def test_closing_ends_what_waits():
    heard = []
    with stub(lambda _: (600, None), heard) as address, ThreadPoolExecutor(1) as pool:
        client = Client(address)
        waiting = pool.submit(client.classify, b"picture")
        until(lambda: heard)
        client.close()
        with pytest.raises(ClientError, match="closed before the answer came"):
            waiting.result(60)


def test_a_client_that_nobody_holds_takes_its_thread_along(url):
    before = len(threads())
    Client(url).ready()
    gc.collect()
    until(lambda: len(threads()) == before)
    assert len(threads()) == before


def in_a_fork(client, answers):
    answers.put(client.classify(plain("green")).label)


def test_a_fork_asks_on_connections_of_its_own(url):
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    with Client(url) as client:
        assert client.classify(plain("red")).label == "red"
        child = context.Process(target=in_a_fork, args=(client, answers))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert answers.get() == "green"
        assert client.classify(plain("red")).label == "red"


PROGRAM = """
import sys
from service.client import Client
client = Client(sys.argv[1])
print(client.classify(b"picture").label)
loaded = {"fastapi", "uvicorn", "onnxruntime", "torch", "prometheus_client", "pydantic_settings"} & set(sys.modules)
assert not loaded, loaded
"""


def test_a_program_that_closes_nothing_ends_quietly_and_has_loaded_no_server():
    with stub(lambda _: (0, http(200, CLASSIFIED))) as address:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM, address],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("red\n", "", 0)


def test_its_wishes_reach_the_one_that_asks():
    heard = []
    retries = Retries(most=2, first_s=0)
    with (
        stub(lambda _: (0, None), heard) as address,
        Client(address, retries=retries) as client,
        pytest.raises(ClientError, match="asked 3 times"),
    ):
        client.classify(b"picture")
    assert len(heard) == 3


def test_an_attempt_that_is_repeated_has_the_id_of_the_first_and_the_next_request_another():
    heard = []
    said = {0: http(503, b"", "Retry-After: 0")}
    answer = http(200, CLASSIFIED)
    with (
        stub(lambda count: (0, said.get(count, answer)), heard) as address,
        Client(address, retries=Retries(first_s=0.001)) as client,
    ):
        client.classify(b"picture")
        client.classify(b"picture")
    marks = [head.partition(b"x-request-id: ")[2].partition(b"\r\n")[0] for head in heard]
    assert len(marks) == 3
    assert marks[0] == marks[1] != marks[2]
    assert all(len(mark) == 16 for mark in marks)
