"""How a service starts and ends, in processes of their own: the port first, the lame duck, signals at every moment."""

import asyncio
import json
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.manifest import MANIFEST, WHOLE_NET, sha256
from tests.support.colours import publish_colours
from tests.support.images import encoded, noise, plain
from tests.support.process import PATIENCE_S, bound, free_port, run, serving, starting
from tests.support.waiting import metrics_with


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    publish_colours(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def endless_repository(tmp_path: Path) -> Path:
    """A model whose first call never ends, in native code, where no thread can be stopped."""
    folder = publish_colours(tmp_path / "models")
    onnx.save(endless(onnx.load(folder / WHOLE_NET)), folder / WHOLE_NET)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][WHOLE_NET] = sha256(folder / WHOLE_NET)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return tmp_path / "models"


def endless(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph, whose answer goes through a loop of very many turns."""
    kinds = {"turn": TensorProto.INT64, "on": TensorProto.BOOL, "still": TensorProto.BOOL}
    ends = {name: helper.make_tensor_value_info(name, kind, []) for name, kind in kinds.items()}
    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("rows", "same")]
    steps = [helper.make_node("Identity", ["on"], ["still"]), helper.make_node("Neg", ["rows"], ["same"])]
    body = helper.make_graph(steps, "turn", [ends["turn"], ends["on"], rows[0]], [ends["still"], rows[1]])
    model.graph.node[-1].output[0] = "answer"
    model.graph.node.append(helper.make_node("Loop", ["turns", "", "answer"], ["logits"], body=body))
    model.graph.initializer.append(numpy_helper.from_array(np.array(10**15), "turns"))
    return model


def stalled_upload(url: str) -> socket.socket:
    """A request that was let in and whose body does not end."""
    host, _, port = url.removeprefix("http://").partition(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
    metrics_with(url, "harmonic_requests_in_flight 1.0")
    return connection


def said(process: "subprocess.Popen[str]", words: str) -> None:
    """Read its log up to a line with these words."""
    assert any(words in line for line in process.stderr or ())


async def test_a_steady_client_behind_a_balancer_loses_nothing_at_sigterm(repository):
    """The balancer asks for readiness, and looks elsewhere once it fails; until then everything is answered."""

    async def story(url: str, process: "subprocess.Popen[str]") -> None:
        body, seen, elsewhere = encoded(noise(64)), [], asyncio.Event()
        told = asyncio.Event()

        async def caller() -> None:
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
                while not elsewhere.is_set():
                    answer = await client.post("/v1/classify", content=body)
                    seen.append((told.is_set(), answer.status_code, answer.headers.get("connection")))

        async def balancer() -> None:
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
                failures = 0
                while failures < 3:  # as it is commonly set up
                    failures += (await client.get("/readyz")).status_code == 503
                while sum(after for after, _, _ in seen) < 50:  # and for some time nobody has heard of it
                    await client.get("/livez")
            elsewhere.set()

        callers = [asyncio.ensure_future(caller()) for _ in range(4)]
        while len(seen) < 50:
            await asyncio.wait(callers, timeout=0.01)
        process.send_signal(signal.SIGTERM)
        told.set()
        await asyncio.wait_for(asyncio.gather(balancer(), *callers), PATIENCE_S)
        assert {status for _, status, _ in seen} == {200}
        assert seen[-1][2] == "close"
        process.send_signal(signal.SIGTERM)  # nobody is left: the rest of the lame duck is not waited for
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0

    with (
        serving(repository, drain_seconds="60") as one,
        serving(repository, "--workers", "2", drain_seconds="60") as several,
    ):
        await asyncio.gather(story(*one), story(*several))


async def test_after_the_lame_duck_what_was_accepted_is_answered_and_nothing_else(repository, workers):
    async def story(url: str, process: "subprocess.Popen[str]") -> None:
        body, half = encoded(noise(64)), asyncio.Event()

        async def upload():
            yield body[:100]
            await half.wait()
            yield body[100:]

        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            accepted = asyncio.ensure_future(client.post("/v1/classify", content=upload()))
            await asyncio.to_thread(metrics_with, url, "harmonic_requests_in_flight 1.0")
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(said, process, "requests are refused now")
            with pytest.raises(httpx.ConnectError):
                async with httpx.AsyncClient(base_url=url) as other:
                    await other.get("/livez")
            half.set()
            assert (await accepted).status_code == 200
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0

    with serving(repository, *workers, drain_seconds="0.1") as (url, process):
        await story(url, process)


def test_a_kept_connection_gets_503_once_requests_are_refused(repository, workers):
    settings = {"drain_seconds": "0", "grace_seconds": "60"}
    with (
        serving(repository, *workers, **settings) as (url, process),
        stalled_upload(url),
        httpx.Client(base_url=url) as client,
    ):
        assert client.get("/readyz", timeout=PATIENCE_S).status_code == 200
        process.send_signal(signal.SIGTERM)
        said(process, "requests are refused now")
        refused = client.post("/v1/classify", content=plain(), timeout=PATIENCE_S)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        assert refused.headers["connection"] == "close"


def test_an_interrupt_from_a_terminal_ends_without_the_lame_duck(repository, workers):
    with serving(repository, *workers, drain_seconds="3600") as (_, process):
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0


def test_a_request_that_never_ends_does_not_outlive_the_grace(repository, workers):
    with serving(repository, *workers, drain_seconds="0", grace_seconds="0.2") as (url, process), stalled_upload(url):
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("drain_seconds", ["0", "3600"])
def test_a_second_signal_ends_the_process_at_once(repository, drain_seconds, workers):
    settings = {"drain_seconds": drain_seconds, "grace_seconds": "3600"}
    with serving(repository, *workers, **settings) as (url, process), stalled_upload(url):
        process.send_signal(signal.SIGTERM)
        said(process, "shutting down")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_it_is_alive_and_not_ready_while_models_load(endless_repository, workers):
    with starting(endless_repository, *workers) as process:
        url = bound(process)
        assert httpx.get(f"{url}/livez", timeout=PATIENCE_S).status_code == 200
        assert httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 503
        answer = httpx.post(f"{url}/v1/models/colours/classify", content=plain(), timeout=PATIENCE_S)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_models_load_ends_the_start_at_once(endless_repository, number, workers):
    with starting(endless_repository, *workers, drain_seconds="3600") as process:
        url = bound(process)
        assert httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 503
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert " ready, " not in process.stderr.read()


def test_a_port_that_is_taken_ends_the_start_before_a_model_is_loaded(repository):
    with serving(repository) as (url, _):
        taken = url.rpartition(":")[2]
        for flags in (["--port"], ["--port", "0", "--admin-port"], ["--workers", "2", "--port"]):
            done = run("serve", "--repository", repository, *flags, taken)
            assert done.returncode == 2
            assert f"port {taken}: address already in use" in done.stderr
            assert "is ready" not in done.stderr
            assert "Traceback" not in done.stderr


def test_a_host_that_is_none_of_this_machine_ends_the_start(repository):
    done = run("serve", "--repository", repository, "--host", "192.0.2.1", "--port", free_port())
    assert done.returncode == 2
    assert "192.0.2.1" in done.stderr
