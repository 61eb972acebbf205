"""Batches padded to a few sizes, on the CPU: the answers are those of one plain session."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from export.manifest import read_manifest
from service.runtime.buckets import BucketSession
from service.runtime.device import Device
from service.runtime.placement import Placement
from service.runtime.session import Session

CPU = Placement((Device("cpu"),), 1)
RANDOM = np.random.default_rng(0)


@pytest.fixture
def sessions(publish):
    folder = publish()
    manifest = read_manifest(folder)
    path = folder / "model.onnx"
    return BucketSession(path, manifest, CPU, largest=6), Session(path, manifest, CPU)


def images(count: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 20])
def test_a_padded_call_gives_the_answers_of_an_unpadded_one(sessions, count):
    padded, plain = sessions
    batch = images(count)
    found = padded.run(batch)
    assert found.shape == (count, *plain.run(batch).shape[1:])
    np.testing.assert_allclose(found, plain.run(batch), rtol=0, atol=1e-5)


def test_a_smaller_batch_after_a_larger_one_is_answered_for_itself(sessions):
    """What the larger one left in the padding is gone, and its answers stay."""
    padded, plain = sessions
    padded.warm_up((1, 6))
    first, second = images(6), images(5)
    kept = padded.run(first)
    np.testing.assert_allclose(padded.run(second), plain.run(second), rtol=0, atol=1e-5)
    np.testing.assert_allclose(kept, plain.run(first), rtol=0, atol=1e-5)


def test_calls_from_several_threads_get_their_own_answers(sessions):
    padded, plain = sessions
    batches = [images(1 + number % 6) for number in range(40)]
    with ThreadPoolExecutor(4) as threads:
        for found, batch in zip(threads.map(padded.run, batches), batches, strict=True):
            np.testing.assert_allclose(found, plain.run(batch), rtol=0, atol=1e-5)


def test_it_says_what_runs_it(sessions):
    assert sessions[0].provider == sessions[1].provider
