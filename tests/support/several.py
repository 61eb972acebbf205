"""A service of several processes, seen from outside: which they are, callers with a connection each, and load."""

import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.support.images import plain
from tests.support.process import PATIENCE_S
from tests.support.waiting import until

# Versions come and go as an operator says, and nobody waits for the last request of one that goes.
EXPLICIT = {"model_control": "explicit", "load_models": "*", "versions": "latest", "drain_seconds": "0"}
_KINDS = {"harmonic-worker": "worker", "harmonic-owner": "owning"}


def children(process: "subprocess.Popen[str]") -> list[int]:
    """The workers of a supervisor, and the owners of their models."""
    return workers_of(process.pid)


def workers_of(supervisor: int) -> list[int]:
    """The same by the supervisor's number."""
    return sorted(pid for pid in below(supervisor) if _name(pid) in _KINDS)


def seed(process: "subprocess.Popen[str]") -> int:
    """The process of which workers are copies."""
    (found,) = (pid for pid in below(process.pid) if _name(pid) == "harmonic-seed")
    return found


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


class Load:
    """Callers who ask again and again, each on a connection that is opened anew when it was lost."""

    def __init__(self, url: str, number: int = 8) -> None:
        self._url = url
        self._over = threading.Event()
        self._came = threading.Condition()
        self.statuses: Counter[int] = Counter()
        self.lost = 0
        self.without_retry = 0
        self._threads = [threading.Thread(target=self._ask, args=(index,)) for index in range(number)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in self._threads)

    def more(self, count: int) -> None:
        """Return when so many more were answered with 200."""
        with self._came:
            wanted = self.statuses[200] + count
            assert self._came.wait_for(lambda: self.statuses[200] >= wanted, PATIENCE_S)

    def _ask(self, index: int) -> None:
        colour = ("red", "green", "blue")[index % 3]
        body = plain(colour, (8, 8) if index % 2 else (200, 200))  # decoded at once, or by the pool
        while not self._over.is_set():
            with httpx.Client(base_url=self._url, timeout=PATIENCE_S) as client:
                try:
                    while not self._over.is_set():
                        self._note(client.post("/v1/classify", content=body), colour)
                except httpx.TransportError:
                    with self._came:
                        self.lost += 1

    def _note(self, answer: httpx.Response, colour: str) -> None:
        if answer.status_code == 200:
            assert answer.json()["predictions"][0]["classes"][0]["label"] == colour
        with self._came:
            self.statuses[answer.status_code] += 1
            self.without_retry += answer.status_code != 200 and "retry-after" not in answer.headers
            self._came.notify_all()
        if answer.status_code != 200:
            self._over.wait(0.02)  # or callers who are refused take the machine from those who start


def kinds(supervisor: int) -> dict[str, list[int]]:
    """The processes of a service by the module that they run: owners of models, and workers."""
    found: dict[str, list[int]] = {"owning": [], "worker": []}
    for pid in below(supervisor):
        kind = _KINDS.get(_name(pid), "")
        if kind in found and not gone(pid):
            found[kind].append(pid)
    return found


def ready(url: str) -> None:
    """Return as soon as a service is ready."""
    until(lambda: httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code == 200)


def _name(pid: int) -> str:
    """What lists of processes call it; nothing where it has gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""


def below(pid: int) -> list[int]:
    """The processes that one has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
