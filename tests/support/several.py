"""A service of several processes, seen from outside: which they are, and callers with a connection each."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.images import plain
from tests.support.process import PATIENCE_S


def children(process: "subprocess.Popen[str]") -> list[int]:
    """The workers of a supervisor."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return sorted(map(int, found))


def gone(pid: int) -> bool:
    """True once a process serves no more; it may still wait to be reaped by somebody else."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@contextmanager
def connections(url: str, number: int = 8) -> Iterator[list[httpx.Client]]:
    """Callers with a connection each, open: they are spread over all workers."""
    clients = [httpx.Client(base_url=url, timeout=PATIENCE_S) for _ in range(number)]
    try:
        for client in clients:
            assert client.get("/livez").status_code == 200
        yield clients
    finally:
        for client in clients:
            client.close()


def answered(client: httpx.Client, colour: str = "red") -> int:
    answer = client.post("/v1/classify", content=plain(colour))
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["classes"][0]["label"] == colour
    return int(answer.json()["version"])
