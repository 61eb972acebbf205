"""What every backend promises, held against each of them and against a toy; and how a version finds its own."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from export.manifest import MANIFEST, Manifest, read_manifest
from service.classify import classify_files
from service.runtime import (
    AS_EXPORTED,
    CPU,
    Backend,
    Opening,
    Placement,
    Running,
    SessionError,
    backend,
    choose,
    forget_backend,
    open_session,
)
from service.runtime.buckets import BucketSession
from service.runtime.cuda_graphs import GraphSession
from service.runtime.native import NativeSession
from service.runtime.session import Session
from tests.support import toy_backend
from tests.support.images import plain

LARGEST = 6
ON_CPU = Placement((CPU,), 1)


@pytest.fixture
def toy():
    toy_backend.register()
    yield
    forget_backend("numpy")


def opened(folder: Path, running: Running = AS_EXPORTED) -> tuple[Backend, Manifest]:
    manifest = read_manifest(folder)
    return open_session(folder, manifest, choose(manifest, running)[0], ON_CPU, LARGEST, running), manifest


@pytest.fixture(params=["onnxruntime", "buckets", "graphs", "native", "numpy"])
def opening(request, publish, toy) -> tuple[Backend, Manifest]:
    """Each backend with a version open, and the version's manifest."""
    if request.param == "native":
        return opened(request.getfixturevalue("native_repository") / "pets" / "1", Running("native"))
    folder = publish()
    if request.param == "numpy":
        return opened(toy_backend.as_weights(folder))
    if request.param in {"buckets", "graphs"}:  # on the CPU nothing is recorded; buffers and thread are the same
        manifest = read_manifest(folder)
        kind = BucketSession if request.param == "buckets" else GraphSession
        return kind(folder / "model.onnx", manifest, ON_CPU, LARGEST), manifest
    return opened(folder)


def images(count: int, manifest: Manifest, seed: int = 0) -> np.ndarray:
    shape = (count, *manifest.pixels.shape)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=manifest.pixels.dtype)


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("count", range(1, LARGEST + 1))
def test_logits_have_a_row_for_each_image_and_a_column_for_each_class(opening, count):
    session, manifest = opening
    logits = session.run(images(count, manifest))
    assert (logits.shape, logits.dtype) == ((count, len(manifest.classes)), np.float32)
    assert np.isfinite(logits).all()


def test_an_images_answer_does_not_depend_on_its_batch_mates(opening):
    session, manifest = opening
    batch = images(LARGEST, manifest)
    alone = np.concatenate([session.run(batch[number : number + 1]) for number in range(LARGEST)])
    assert len(np.unique(alone, axis=0)) == LARGEST
    assert_close(session.run(batch), alone)
    assert_close(session.run(batch[::-1])[::-1], alone)


def test_the_images_stay_as_they_are_and_an_answer_survives_the_next_call(opening):
    session, manifest = opening
    first, second = images(2, manifest, 1), images(2, manifest, 2)
    given = first.copy()
    given.flags.writeable = False
    kept = session.run(given)
    before = kept.copy()
    session.run(second)
    np.testing.assert_array_equal(given, first)
    np.testing.assert_array_equal(kept, before)


@pytest.mark.parametrize("count", range(1, LARGEST + 1))
def test_images_in_a_buffer_get_the_answers_that_they_get_elsewhere(opening, count):
    session, manifest = opening
    pixels = manifest.pixels
    memory, other = (session.buffer((LARGEST, *pixels.shape), pixels.dtype) for _ in range(2))
    assert (memory.shape, memory.dtype) == ((LARGEST, *pixels.shape), pixels.dtype)
    assert not np.shares_memory(memory, other)
    memory[...], other[...] = images(LARGEST, manifest, 7), images(LARGEST, manifest, 8)
    given, untouched = memory[:count].copy(), other.copy()
    assert_close(session.run(memory[:count]), session.run(given))
    np.testing.assert_array_equal(memory[:count], given)
    np.testing.assert_array_equal(other, untouched)


def test_threads_get_the_answers_to_their_own_images(opening):
    session, manifest = opening
    batches = [images(1 + number % LARGEST, manifest, number) for number in range(24)]
    expected = [session.run(batch) for batch in batches]
    with ThreadPoolExecutor(4) as threads:
        for found, wanted in zip(threads.map(session.run, batches), expected, strict=True):
            assert_close(found, wanted)


def test_neither_warming_up_nor_traffic_nor_a_reset_changes_what_is_frozen(opening):
    session, manifest = opening
    batch = images(3, manifest)
    before = session.run(batch)
    session.warm_up((1, LARGEST))
    session.follow_traffic()
    session.run(images(LARGEST, manifest, 5))
    assert_close(session.run(batch), before)
    session.reset()
    assert_close(session.run(batch), before)


def test_images_of_another_shape_are_an_error_and_the_next_call_is_answered(opening):
    session, manifest = opening
    before = session.run(images(1, manifest))
    height, width, channels = manifest.pixels.shape
    with pytest.raises(Exception):  # noqa: B017 - each backend has its own; the batcher takes any
        session.run(np.zeros((1, height, width, channels + 1), manifest.pixels.dtype))
    assert_close(session.run(images(1, manifest)), before)


def test_it_says_what_runs_it(opening):
    assert opening[0].provider in {"CPUExecutionProvider", "numpy"}


def test_a_version_is_opened_by_the_backend_whose_own_it_is(publish, native_repository, toy):
    assert type(opened(publish())[0]) is Session
    assert type(opened(native_repository / "pets" / "1", Running("native"))[0]) is NativeSession
    assert type(opened(toy_backend.as_weights(publish()))[0]) is toy_backend.NumpyBackend


def test_a_version_that_no_backend_takes_is_refused_with_their_names(publish):
    with pytest.raises(SessionError, match=r"none of onnxruntime, .*native stem takes its weights\.npz"):
        opened(toy_backend.as_weights(publish()))


def test_a_version_that_two_backends_take_is_refused(publish, toy):
    backend("greedy", takes=lambda opening: True)(toy_backend.open_numpy)
    try:
        with pytest.raises(SessionError, match="onnxruntime, greedy all take"):
            opened(publish())
    finally:
        forget_backend("greedy")


def test_a_name_that_is_taken_is_refused(toy):
    with pytest.raises(ValueError, match="numpy"):
        toy_backend.register()


def test_a_damaged_file_is_refused_by_name(publish, toy):
    folder = toy_backend.as_weights(publish())
    (folder / toy_backend.WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(SessionError, match=r"weights\.npz"):
        opened(folder)


def test_a_backend_of_ones_own_serves(publish, toy, tmp_path, capsys):
    toy_backend.as_weights(publish())
    picture = tmp_path / "green.png"
    picture.write_bytes(plain("green"))
    failed = classify_files(
        [picture], url=None, repository=tmp_path / "models", model=None, top_k=1, device="cpu", as_json=True, key=None
    )
    assert not failed
    answer = json.loads(capsys.readouterr().out)
    assert answer["classes"][0]["label"] == "green"
    assert json.loads((tmp_path / "models" / "colours" / "1" / MANIFEST).read_text())["variants"][0]["file"] == (
        toy_backend.WEIGHTS
    )


def test_the_open_options_reach_the_backend(publish):
    folder = publish()
    manifest = read_manifest(folder)
    seen: list[Opening] = []

    def note(opening: Opening) -> Backend:
        seen.append(opening)
        return Session(folder / "model.onnx", manifest, opening.placement)

    backend("noting", takes=lambda opening: opening.largest == 77)(note)
    try:
        for precision in ("fp32", "fp16"):
            variant = manifest.variant().model_copy(update={"file": "other", "precision": precision})
            open_session(folder, manifest, variant, ON_CPU, 77, Running(adapt_images=3))
    finally:
        forget_backend("noting")
    assert [(one.folder, one.largest, one.running.adapt_images) for one in seen] == [(folder, 77, 3)] * 2
    assert [one.placement.gpu.tf32 for one in seen] == [False, True]
