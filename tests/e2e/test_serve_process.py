"""`harmonic serve` as a process of its own: answers, floods, signals, and starts that must not succeed."""

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from tests.support.colours import publish_colours
from tests.support.images import plain
from tests.support.process import PATIENCE_S, free_port, run, serving
from tests.support.waiting import metrics_with, metrics_without, until


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    publish_colours(tmp_path / "models")
    return tmp_path / "models"


async def test_a_process_answers_concurrent_callers_in_batches(repository, workers):
    async def story(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            colours = ["red", "green", "blue"] * 20
            answers = await asyncio.gather(*(client.post("/v1/classify", content=plain(colour)) for colour in colours))
            assert [answer.json()["predictions"][0]["classes"][0]["label"] for answer in answers] == colours
            text = (await client.get("/metrics")).text
            figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("harmonic_batch_size_"))
            labels = '{model="colours",version="1"}'
            assert float(figures[f"harmonic_batch_size_sum{labels}"]) == 60
            assert float(figures[f"harmonic_batch_size_count{labels}"]) < 60

    with serving(repository, *workers, "--window-ms", "5") as (url, _):
        await story(url)


def test_a_caller_who_vanishes_in_mid_upload_is_forgotten(repository):
    with serving(repository) as (url, _):
        host, _, port = url.removeprefix("http://").partition(":")
        for _ in range(20):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        answer = httpx.post(f"{url}/v1/classify", content=plain("blue"), timeout=PATIENCE_S)
        assert answer.json()["predictions"][0]["classes"][0]["label"] == "blue"
        metrics_with(url, "harmonic_requests_in_flight 0.0")


def test_a_caller_who_vanishes_while_it_waits_frees_its_seat(repository, workers):
    with serving(repository, *workers, "--window-ms", "60000", deadline_ms="60000") as (url, _):
        host, _, port = url.removeprefix("http://").partition(":")
        body, waits = plain(), 'harmonic_queue_images{model="colours",version="1"} 1.0'
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            metrics_with(url, waits)
        assert 'harmonic_cancelled_total{model="colours",version="1"} 1.0' in metrics_without(url, waits)


def test_classify_asks_a_service_and_a_repository_alike(repository, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(plain("green"))
    bad.write_bytes(b"no image")
    local = run("classify", str(good), "--repository", str(repository), "--json")
    assert local.returncode == 0, local.stderr
    with serving(repository) as (url, _):
        remote = run("classify", str(good), str(bad), "--url", url, "--json")
    assert remote.returncode == 1
    lines = remote.stdout.splitlines()
    assert lines[0] == local.stdout.splitlines()[0]
    assert '"error"' in lines[1]


@pytest.mark.parametrize(
    ("flags", "settings", "said"),
    [
        (["--device", "cuda"], {}, "CUDA"),
        (["--device", "tpu"], {}, "device"),
        ([], {"windw_ms": "1"}, "HARMONIC_SERVE_WINDW_MS"),
        ([], {"max_batch": "many"}, "max_batch"),
        ([], {"policies": "{"}, "policies"),
        (["--repository", "/nowhere"], {}, "/nowhere"),
    ],
)
def test_what_it_must_not_start_with_is_said_and_the_status_is_2(repository, flags, settings, said):
    from export.runtime import ort

    if flags[:1] == ["--device"] and said in "".join(ort.get_available_providers()):
        pytest.skip("this machine has CUDA")
    done = run("serve", "--repository", str(repository), "--port", "0", *flags, **settings)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_version_is_left_out_and_the_others_serve(repository):
    publish_colours(repository, golden_shift=1.0)
    with serving(repository) as (url, _):
        versions = httpx.get(f"{url}/v1/models").json()["models"][0]["versions"]
        assert [version["state"] for version in versions] == ["ready", "broken"]
        assert "golden" in versions[1]["reason"]
        assert httpx.post(f"{url}/v1/classify", content=plain()).json()["version"] == 1


def test_probes_and_metrics_have_a_port_of_their_own_where_one_is_named(repository, workers):
    port = free_port()
    made = run("key", "--name", "ci")
    (repository.parent / "keys.toml").write_text(made.stdout)
    flags = ("--admin-port", str(port), "--keys-file", str(repository.parent / "keys.toml"))
    admin = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S)
    with serving(repository, *workers, *flags, drain_seconds="60") as (url, process), admin:
        for _ in range(200):  # it listens as soon as the main port does, in the same process
            try:
                assert admin.get("/livez").status_code == 200
                break
            except httpx.ConnectError:
                assert httpx.get(f"{url}/livez").status_code == 200
        assert "harmonic_build_info" in admin.get("/metrics").text
        assert admin.get("/v1/models").status_code == 404
        headers = {"Authorization": f"Bearer {made.stderr.split()[-1]}"}
        assert httpx.get(f"{url}/metrics", headers=headers).status_code == 404
        assert httpx.get(f"{url}/v1/models", headers=headers).status_code == 200
        assert httpx.get(f"{url}/v1/models").status_code == 401
        process.terminate()
        until(lambda: admin.get("/readyz").status_code != 200)
        assert admin.get("/livez").status_code == 200  # a shutdown can be watched
        process.terminate()  # the second one ends it at once
        assert process.wait(PATIENCE_S) == 0
