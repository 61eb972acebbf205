"""`harmonic serve --workers 2`: what dies, what is replaced, what is one over all processes."""

import asyncio
import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.colours import publish_colours
from tests.support.faults import FOR_EVER, hangs_on_red
from tests.support.images import plain
from tests.support.process import HARMONIC, PATIENCE_S, address, environment, free_port, run, serving, starting
from tests.support.several import answered, below, children, connections, gone, seed, workers_of
from tests.support.sockets import GET, connect, refused, told
from tests.support.waiting import metrics_with, until

TWO = ("--workers", "2")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    publish_colours(tmp_path / "models")
    return tmp_path / "models"


def test_whichever_worker_is_asked_tells_the_truth_of_all(repository):
    with serving(repository, *TWO, instances="1") as (url, process), connections(url) as clients:
        assert len(children(process)) == 2
        for client in clients:
            answered(client)
        seen = set()
        for client in clients:
            text = client.get("/metrics").text
            assert 'harmonic_requests_total{model="colours",status="200",version="1"} 8.0' in text
            assert 'harmonic_request_seconds_count{model="colours",version="1"} 8.0' in text
            assert 'harmonic_queue_limit_images{model="colours",version="1"} 256.0' in text
            assert "harmonic_workers 2.0" in text
            assert "harmonic_worker_restarts_total 0.0" in text
            (activity,) = client.get("/v1/activity").json()["versions"]
            assert (activity["images"], activity["latency"]["counts"][-1]) == (8, 8)
            (figures,) = client.get("/v2/models/colours/stats").json()["model_stats"]
            assert figures["inference_stats"]["success"]["count"] == 8
            (version,) = client.get("/v1/models/colours").json()["versions"]
            assert (version["instances"], version["policy"]["max_queue"]) == (2, 256)
            seen.add(client.get("/readyz").status_code)
        assert seen == {200}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="wants two CPUs")
def test_each_worker_keeps_to_a_cpu_of_its_own_and_so_does_its_successor(repository):
    whole = os.sched_getaffinity(0)
    cpus = sorted(whole)[:2]
    os.sched_setaffinity(0, cpus)  # what is started from here on has these
    try:
        with serving(repository, *TWO) as (url, process):
            assert os.sched_getaffinity(process.pid) == set(cpus)
            before = children(process)
            assert sorted(cpu for pid in before for cpu in os.sched_getaffinity(pid)) == cpus
            os.kill(before[0], signal.SIGKILL)
            metrics_with(url, "harmonic_worker_restarts_total 1.0")
            metrics_with(url, "harmonic_workers 2.0")
            after = children(process)
            assert sorted(cpu for pid in after for cpu in os.sched_getaffinity(pid)) == cpus
    finally:
        os.sched_setaffinity(0, whole)


def test_the_log_says_which_worker_spoke_and_the_start_once(repository):
    with serving(repository, *TWO, "--log-format", "json", "--access-log", drain_seconds="0") as (url, process):
        with connections(url, 4) as clients:
            for client in clients:
                answered(client)
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        said = process.stderr.read()
    assert {int(number) for number in re.findall(r'"worker":(\d+),"message":"POST', said)} == {1, 2}
    assert said.count("shutting down") == 1


async def test_a_worker_that_is_killed_loses_its_own_requests_and_is_replaced(repository):
    """Callers who ask again on a new connection see no further error; the count of answers never falls."""
    failures: list[Exception] = []
    done = asyncio.Event()
    answers = 0

    async def caller(url: str) -> None:
        nonlocal answers
        while not done.is_set():
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
                try:
                    while not done.is_set():
                        answer = await client.post("/v1/classify", content=plain("blue"))
                        assert answer.status_code == 200, answer.text
                        answers += 1
                except httpx.TransportError as error:
                    failures.append(error)

    async def more(count: int) -> None:
        wanted = answers + count
        async with asyncio.timeout(PATIENCE_S):
            while answers < wanted:
                await asyncio.sleep(0.005)

    with serving(repository, *TWO) as (url, process):
        callers = [asyncio.ensure_future(caller(url)) for _ in range(8)]
        await more(100)
        first, second = children(process)
        before = await asyncio.to_thread(_told_by_both, url)
        os.kill(first, signal.SIGKILL)
        await more(100)
        assert httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200
        text = await asyncio.to_thread(metrics_with, url, "harmonic_workers 2.0")
        assert "harmonic_worker_restarts_total 1.0" in text
        assert _count(text) >= before + 50
        await more(100)
        done.set()
        await asyncio.gather(*callers)
        now = children(process)
        assert second in now and first not in now and len(now) == 2
    assert 1 <= len(failures) <= 4 + 1  # those whose connection it had


def _told_by_both(url: str) -> float:
    """How many were answered. Whoever is asked asks the other, so what both had counted outlives them from here on."""
    with connections(url, 2) as clients:
        return min(_count(client.get("/metrics").text) for client in clients)


def _count(text: str) -> float:
    found = re.search(r'harmonic_requests_total\{model="colours",status="200",version="1"\} ([0-9.]+)', text)
    return float(found[1]) if found else 0.0


def test_workers_share_the_memory_of_what_all_have_loaded(repository):
    with serving(repository, *TWO, drain_seconds="0") as (_, process):
        for worker in children(process):
            text = Path(f"/proc/{worker}/smaps_rollup").read_text()
            found = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
            assert found["Private_Dirty"] < 0.7 * found["Anonymous"]  # all of it, where each loads by itself


def test_without_the_seed_of_workers_they_are_replaced_all_the_same(repository):
    with serving(repository, *TWO, drain_seconds="0") as (url, process):
        os.kill(seed(process), signal.SIGKILL)
        os.kill(children(process)[0], signal.SIGKILL)
        metrics_with(url, "harmonic_worker_restarts_total 1.0")
        metrics_with(url, "harmonic_workers 2.0")
        with connections(url, 2) as clients:
            assert [answered(client) for client in clients] == [1, 1]


def test_callers_whom_the_others_took_over_are_shared_again_with_its_successor(repository):
    with serving(repository, *TWO, "--access-log", drain_seconds="0") as (url, process):
        os.kill(children(process)[0], signal.SIGKILL)
        metrics_with(url, "harmonic_workers 1.0")
        with connections(url) as clients:
            metrics_with(url, "harmonic_workers 2.0")
            for _ in range(2):
                for client in clients:
                    answered(client)
            process.terminate()
            said = process.communicate(timeout=PATIENCE_S)[1]
    last = re.findall(r"\[worker (\d)\]: POST /v1/classify", said)[-8:]
    # Not four each: the look at the metrics has a connection too.
    assert min(last.count("1"), last.count("2")) >= 3


def test_a_worker_whose_call_never_returns_is_replaced(tmp_path):
    publish_colours(tmp_path / "models", graph=hangs_on_red(FOR_EVER))
    settings = {"deadline_ms": "3600000", "call_seconds": "0.1"}
    with serving(tmp_path / "models", *TWO, **settings) as (url, process), connections(url, 2) as clients:
        before = children(process)
        with pytest.raises(httpx.TransportError):
            clients[0].post("/v1/classify", content=plain("red"))
        metrics_with(url, "harmonic_worker_restarts_total 1.0")
        metrics_with(url, "harmonic_workers 2.0")
        until(lambda: httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200)
        assert len(set(children(process)) & set(before)) == 1
        assert answered(clients[1], "blue") == 1


def test_with_the_supervisor_the_port_and_every_worker_are_gone(repository):
    with serving(repository, *TWO) as (url, process), connections(url, 4):
        workers = [*children(process), seed(process)]
        process.kill()
        process.wait()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/livez", timeout=PATIENCE_S)
        until(lambda: all(map(gone, workers)))


def test_what_one_worker_is_told_to_load_all_have(repository):
    publish_colours(repository, name="others")
    with serving(repository, *TWO, "--model-control", "explicit", "--load-models", "colours") as (url, process):
        with connections(url, 6) as clients:
            for number in range(2, 4):
                publish_colours(repository)
                assert clients[number].post("/v2/repository/models/colours/load").status_code == 200
                assert {answered(client) for client in clients} == {number}
            assert clients[0].post("/v2/repository/models/others/load").status_code == 200
            assert {client.get("/v2/models/others/ready").status_code for client in clients} == {200}
            assert clients[1].post("/v2/repository/models/colours/unload").status_code == 200
            assert {client.get("/v2/models/colours/ready").status_code for client in clients} == {404}
            lists = [client.post("/v2/repository/index").json() for client in clients]
            assert all(listed == lists[0] for listed in lists)
            assert clients[3].post("/v2/repository/models/none/load").status_code == 404
        os.kill(children(process)[0], signal.SIGKILL)
        metrics_with(url, "harmonic_worker_restarts_total 1.0")
        metrics_with(url, "harmonic_workers 2.0")
        with connections(url, 6) as clients:  # its successor has what the others were told to load
            assert {client.get("/v2/models/others/ready").status_code for client in clients} == {200}
            assert {client.get("/v2/models/colours/ready").status_code for client in clients} == {404}


def test_the_limit_of_a_key_is_that_of_all_workers_together(repository, tmp_path):
    made = run("key", "--name", "ci")
    (tmp_path / "keys.toml").write_text(made.stdout + "requests_per_minute = 5\n")
    headers = {"Authorization": f"Bearer {made.stderr.split()[-1]}"}
    with serving(repository, *TWO, "--keys-file", str(tmp_path / "keys.toml")) as (url, _):
        with connections(url) as clients:
            statuses = [client.get("/v1/models", headers=headers).status_code for client in clients]
        assert sorted(statuses) == [200] * 5 + [429] * 3


def test_connections_are_bounded_over_all_workers_together(repository):
    port = free_port()
    flags = (*TWO, "--admin-port", str(port))
    with serving(repository, *flags, connections="4") as (url, _), ExitStack() as held:
        for _ in range(4):
            connection = held.enter_context(connect(url))
            connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        metrics_with(f"http://127.0.0.1:{port}", "harmonic_requests_in_flight 4.0")
        refused(told(url, GET), 503, "too_many_connections")


def test_as_the_first_process_of_a_container_it_ends_at_sigterm_and_leaves_nobody(repository):
    own_processes = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*own_processes, "true"], capture_output=True, check=False).returncode:
        pytest.skip("processes of one's own can be had by root alone")
    command = [*own_processes, HARMONIC, "serve", "--repository", str(repository), "--port", "0", *TWO]
    with subprocess.Popen(command, env=environment(drain_seconds="0"), stderr=subprocess.PIPE, text=True) as process:
        url = address(process)
        (first,) = below(process.pid)
        workers = workers_of(first)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        metrics_with(url, "harmonic_worker_restarts_total 1.0")
        os.kill(first, signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert all(map(gone, workers))


def test_a_worker_that_cannot_start_ends_the_start_with_its_reason(repository):
    done = run("serve", "--repository", "/nowhere", "--port", "0", *TWO)
    assert done.returncode == 2, done.stderr
    assert "/nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_that_cannot_be_replaced_ends_the_service_with_its_reason(repository):
    with serving(repository, *TWO, drain_seconds="0") as (_, process):
        (repository / "colours").rename(repository.parent / "elsewhere")
        repository.rmdir()
        os.kill(children(process)[1], signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 2
        assert str(repository) in process.stderr.read()


def test_nothing_that_is_sent_to_every_process_ends_a_worker_before_its_time(repository):
    """A terminal and a container's end tell all processes at once; the workers leave it to the supervisor."""
    with starting(repository, *TWO, drain_seconds="10") as process:
        url = ""
        for line in process.stderr:
            url = url or (re.search(r"http://[0-9.:]+", line) or [""])[0]
            if "version ready" in line:
                break
        with connections(url, 4) as clients:
            workers = children(process)
            for pid in (*workers, process.pid):
                os.kill(pid, signal.SIGTERM)
            until(lambda: clients[0].get("/readyz").status_code == 503)
            for client in clients:
                answered(client)
        began = time.monotonic()
        assert process.wait(PATIENCE_S) == 0
        assert time.monotonic() - began < 30
        assert all(map(gone, workers))
