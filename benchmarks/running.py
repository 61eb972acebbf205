"""A server of a benchmark, from its start to the end of all its processes; what it answers and what it takes."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.peers import FOLDER, SERVERS, Server

_START_SECONDS = 120


@contextmanager
def running(
    name: str, python: str, version: Path, body: bytes
) -> Iterator[tuple[str, "subprocess.Popen[bytes]", float]]:
    """Its URL, its first process, and the seconds to its first answer."""
    port, server = free_port(), SERVERS[name]
    with TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            server.started_with(python, version, port, name),
            env=os.environ | surroundings(version, port),
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}{server.path}"
        try:
            while not answers(url, server, body):
                if process.poll() is not None or time.perf_counter() - began > _START_SECONDS:
                    log.seek(0)
                    raise SystemExit(f"no answer from {process.args}: {log.read()[-2000:].decode()}")
                time.sleep(0.02)
            yield url, process, time.perf_counter() - began
        finally:
            end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End it and all below it."""
    descendants = [process.pid, *children(process.pid)]
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        print(f"{process.args} did not heed SIGTERM and is killed")
    for pid in descendants:
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGKILL)
    process.wait()


def surroundings(version: Path, port: int) -> dict[str, str]:
    """Environment variables: where the peers' files and the model are, and MLServer's settings, which it takes so."""
    ports = {"HTTP_PORT": port, "GRPC_PORT": port + 1, "METRICS_PORT": port + 2}
    # Debugging is its default, and writes a line for every request, which no other server here does.
    settings = {**ports, "HOST": "127.0.0.1", "PARALLEL_WORKERS": 0, "DEBUG": "false"}
    mlserver = {f"MLSERVER_{name}": str(value) for name, value in settings.items()}
    return {"VERSION_FOLDER": str(version), "PYTHONPATH": str(FOLDER), **mlserver}


def answers(url: str, server: Server, body: bytes) -> bool:
    """Does it answer yet?"""
    try:
        return bool(ask(url, server, body))
    except OSError:
        return False


def ask(url: str, server: Server, body: bytes) -> str:
    """One answer, as text."""
    request = urllib.request.Request(url, body, server.headers(body))
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode("utf-8", "replace").replace("\\", "")


def check(url: str, server: Server, bodies: list[bytes], wanted: list[str]) -> None:
    """The first server's first labels are the ones that all others must give."""
    for index, body in enumerate(bodies):
        text = ask(url, server, body)
        first = text[text.index('"label"') :].split('"')[3]
        if index == len(wanted):
            wanted.append(first)
        if first != wanted[index]:
            raise SystemExit(f"{url} answers image {index} with {first}, wanted {wanted[index]}: {text[:300]}")


def children(pid: int) -> list[int]:
    """Every process below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


def memory_mb(pid: int) -> float:
    """Proportional memory of a process and all below it."""
    total = 0
    for each in [pid, *children(pid)]:
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return round(total / 1024)


def free_port() -> int:
    """A free port; the two above it, which some peers take too, are hardly ever taken."""
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        return int(first.getsockname()[1])
