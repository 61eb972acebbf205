"""What breaks around a service that runs: its process, its files, its disk, its model."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.errors import RepositoryError
from export.repository import versions
from tests.support.colours import publish_colours
from tests.support.images import encoded, noise, plain
from tests.support.process import HARMONIC, PATIENCE_S, environment, free_port, serving

CLASSIFY = "/v1/classify"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    publish_colours(tmp_path / "models")
    return tmp_path / "models"


def label(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["predictions"][0]["classes"][0]["label"])


async def test_a_killed_process_that_is_started_again_serves_again_and_never_answered_wrongly(repository):
    port = free_port()
    command = [HARMONIC, "serve", "--repository", str(repository), "--port", str(port)]
    answered = await _kill_and_restart(command, f"http://127.0.0.1:{port}", times=3)
    assert min(answered) > 20


async def _kill_and_restart(command: list[str], url: str, times: int) -> list[int]:
    """Ask without end; kill the process in the middle of it and start it again. How many answers each life gave."""
    answered, done = [0] * (times + 1), asyncio.Event()
    life, enough = 0, asyncio.Event()

    async def caller(client: httpx.AsyncClient, colour: str) -> None:
        while not done.is_set():
            try:
                answer = await client.post(CLASSIFY, content=plain(colour))
            except httpx.TransportError:  # killed, or not yet there again
                answer = None
            if answer is None or answer.status_code == 503:  # there, and still loading
                await asyncio.wait([asyncio.ensure_future(done.wait())], timeout=0.02)
                continue
            assert label(answer) == colour
            answered[life] += 1
            enough.set()

    process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client, asyncio.TaskGroup() as group:
            for colour in ("red", "green", "blue") * 3:
                group.create_task(caller(client, colour))
            for life in range(times + 1):
                while answered[life] <= 20:
                    enough.clear()
                    await asyncio.wait_for(enough.wait(), PATIENCE_S)
                if life < times:
                    process.send_signal(signal.SIGKILL)
                    await asyncio.to_thread(process.wait)
                    process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
            done.set()
    finally:
        process.kill()
        process.wait()
    return answered


def test_a_model_folder_that_is_overwritten_or_vanishes_disturbs_no_request(repository):
    with serving(repository) as (url, process), httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        assert label(client.post(CLASSIFY, content=plain("red"))) == "red"
        folder = repository / "colours" / "1"
        for path in folder.iterdir():
            path.write_bytes(b"rubbish" * 1000)
        assert label(client.post(CLASSIFY, content=plain("green"))) == "green"
        shutil.rmtree(repository)
        for path in (
            "/v1/models",
            "/v1/models/colours",
            "/readyz",
            "/metrics",
            "/v2/models/colours",
            "/v2/models/stats",
        ):
            assert client.get(path).status_code == 200, path
        assert client.post("/v2/repository/index").status_code == 200
        assert label(client.post(CLASSIFY, content=plain("blue"))) == "blue"
        assert process.poll() is None


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few pages."""
    place = tmp_path / "disk"
    place.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", place], check=False).returncode
    ):
        pytest.skip("a small disk can be mounted by root alone")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk_publishes_nothing_and_leaves_nothing_behind(full_disk):
    publish_colours(full_disk)
    with pytest.raises(RepositoryError, match="No space left"):
        publish_colours(full_disk, side=64)
    assert versions(full_disk, "colours") == [1]
    assert [path.name for path in (full_disk / "colours").iterdir()] == ["1"]
    with serving(full_disk) as (url, _):
        assert label(httpx.post(f"{url}{CLASSIFY}", content=plain("red"), timeout=PATIENCE_S)) == "red"


def raising_graph(side: int) -> onnx.ModelProto:
    """A graph that raises for an image of one full colour: it looks up an entry that is not there."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["logits"], keepdims=0),
        helper.make_node("ReduceMax", ["logits"], ["most"], keepdims=0),
        helper.make_node("Div", ["most", "bound"], ["share"]),
        helper.make_node("Cast", ["share"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["axes", "index"], ["entry"]),
        helper.make_node("Cast", ["entry"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["number", "zero"], ["nothing"]),
        helper.make_node("Add", ["logits", "nothing"], ["sum"]),
    ]
    constants = {"axes": np.array([1, 2]), "bound": np.float32(125), "zero": np.float32(0)}
    return helper.make_model(
        helper.make_graph(
            nodes,
            "raises",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", side, side, 3])],
            [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", 3])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )


def test_a_session_that_raises_fails_that_call_and_serves_the_next(tmp_path):
    publish_colours(tmp_path, graph=raising_graph(8), output="sum")
    with serving(tmp_path) as (url, process), httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        for _ in range(20):
            failed = client.post(CLASSIFY, content=plain("red"))
            assert (failed.status_code, failed.json()["error"]["code"]) == (500, "model_failed")
            assert "onnx" not in failed.text.lower()
            assert client.post(CLASSIFY, content=encoded(noise(8))).status_code == 200
        assert "harmonic_failed_calls_total{" in client.get("/metrics").text
        assert client.get("/readyz").status_code == 200
        assert process.poll() is None
