"""A cluster of Ray on this machine, in a process of its own: `python -m tests.support.ray_cluster REPOSITORY PORT`.

A head without room for replicas, and two nodes with room for one each. It does what is written to it, a word a line,
and says the word when it is done: `kill` a node that has a replica, as a machine that is cut off; `add` a node;
`shrink` to one replica; `coordinator`: kill the process that keeps the replicas together.
"""

import os
import random
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.process import environment

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"


class RayCluster:
    """The process, seen from a test."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, haproxy: bool) -> None:
        self.url = url
        self.haproxy = haproxy
        self._process = process

    def do(self, word: str) -> None:
        """Have it done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        self.wait_for(word)

    def wait_for(self, word: str) -> None:
        said = []
        for line in self._process.stdout or ():
            if line.strip() == f"done: {word}":
                return
            said.append(line)
        pytest.fail(f"the cluster ended before {word}: {''.join(said[-40:])}")


def quiet_port() -> int:
    """A port that nobody listens on, and that neither the kernel nor Ray (10002 to 19999) gives to processes."""
    for port in random.sample(range(20000, 30000), 100):
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    pytest.fail("no port is free")


@contextmanager
def ray_cluster(repository: Path, haproxy: bool = False, **env: str) -> Iterator[RayCluster]:
    """A cluster that serves this repository in two replicas, ended with all its processes."""
    port = quiet_port()
    own = {
        **environment(),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Without it the head is looked for on the address of the network card.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        # On a busy machine a proxy takes long to start.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "PYTHONPATH": str(ROOT),
        **env,
    }
    command = [sys.executable, "-m", "tests.support.ray_cluster", str(repository), str(port)]
    process = subprocess.Popen(
        command, env=own, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    )
    cluster = RayCluster(process, f"http://{LOOPBACK}:{port}", haproxy)
    try:
        cluster.wait_for("start")
        yield cluster
    finally:
        try:
            process.communicate(timeout=60)  # closes what it reads its words from
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _main(repository: Path, port: int) -> None:
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "node_ip_address": LOOPBACK, "include_dashboard": False},
    )
    nodes = [cluster.add_node(num_cpus=1, node_ip_address=LOOPBACK) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=True)
    try:
        serve.start(proxy_location="HeadOnly", http_options={"host": LOOPBACK, "port": port})
        _deploy(repository, port, 2)
        _say("start")
        for line in sys.stdin:
            if line.strip() == "kill":
                cluster.remove_node(nodes.pop(), allow_graceful=False)
            elif line.strip() == "add":
                nodes.append(cluster.add_node(num_cpus=1, node_ip_address=LOOPBACK))
            elif line.strip() == "shrink":
                _deploy(repository, port, 1)
            elif line.strip() == "coordinator":
                _kill_coordinator()
            _say(line.strip())
    finally:
        ray.shutdown()
        cluster.shutdown()


def _deploy(repository: Path, port: int, replicas: int) -> None:
    from ray import serve

    from service.ray.application import build
    from service.ray.order import RayOrder

    settings = {"model_control": "explicit", "load_models": "*", "port": port}
    serve.run(build(RayOrder(repository=repository, replicas=replicas, settings=settings)), name="harmonic")


def _kill_coordinator() -> None:
    import ray

    from service.ray.application import COORDINATOR

    actors = [one["name"] for one in ray.util.list_named_actors(all_namespaces=True)]
    (name,) = (name for name in actors if f"#{COORDINATOR}#" in name)
    ray.kill(ray.get_actor(name, namespace="serve"))


def _say(word: str) -> None:
    sys.stdout.write(f"done: {word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.chdir(ROOT)
    _main(Path(sys.argv[1]), int(sys.argv[2]))
