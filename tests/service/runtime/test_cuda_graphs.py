"""Padding to batch sizes with fixed addresses, on the CPU: what is recorded there is nothing, the rest is the same."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from export.manifest import read_manifest
from service.runtime.cuda_graphs import GraphSession
from service.runtime.device import Device
from service.runtime.placement import Placement
from service.runtime.session import Session

CPU = Placement((Device("cpu"),), 1)


@pytest.fixture
def sessions(publish):
    folder = publish()
    manifest = read_manifest(folder)
    path = folder / "model.onnx"
    return GraphSession(path, manifest, CPU, largest=6), Session(path, manifest, CPU), manifest


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 20])
def test_a_padded_call_gives_the_answers_of_an_unpadded_one(sessions, count):
    padded, plain, _ = sessions
    images = np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    np.testing.assert_allclose(padded.run(images), plain.run(images), rtol=0, atol=1e-5)


def test_an_answer_survives_the_next_call(sessions):
    padded, plain, _ = sessions
    padded.warm_up((1, 6))
    first, second = (np.full((2, 8, 8, 3), value, np.uint8) for value in (10, 200))
    kept = padded.run(first)
    padded.run(second)
    np.testing.assert_allclose(kept, plain.run(first), rtol=0, atol=1e-5)


def test_calls_from_several_threads_get_their_own_answers(sessions):
    padded, plain, _ = sessions
    random = np.random.default_rng(0)
    batches = [random.integers(0, 256, (1 + number % 6, 8, 8, 3), dtype=np.uint8) for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        for found, images in zip(threads.map(padded.run, batches), batches, strict=True):
            np.testing.assert_allclose(found, plain.run(images), rtol=0, atol=1e-5)


def test_a_session_that_is_dropped_takes_its_thread_along(sessions, publish):
    folder = publish()
    before = {thread.ident for thread in threading.enumerate()}
    session = GraphSession(folder / "model.onnx", read_manifest(folder), CPU, largest=2)
    session.run(np.zeros((1, 8, 8, 3), np.uint8))
    (own,) = [thread for thread in threading.enumerate() if thread.ident not in before]
    del session
    gc.collect()
    own.join(timeout=10)
    assert not own.is_alive()
