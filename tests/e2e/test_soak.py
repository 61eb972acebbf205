"""A service that is used and abused for a while: its memory, files and threads stay where they were."""

import asyncio
import random
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support import hostile
from tests.support.colours import publish_colours
from tests.support.images import encoded, noise, plain
from tests.support.process import PATIENCE_S, memory_bytes, serving
from tests.support.waiting import metrics_with

GROWTH = 48 * 2**20


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds."""

    memory: int  # bytes
    files: int
    threads: int


def footprint(pid: int) -> Footprint:
    home = Path(f"/proc/{pid}")
    return Footprint(memory_bytes(pid), len(list((home / "fd").iterdir())), len(list((home / "task").iterdir())))


async def classify(client: httpx.AsyncClient, rng: random.Random) -> None:
    colour = rng.choice(("red", "green", "blue"))
    answer = await client.post("/v1/classify", content=plain(colour, size=(rng.randint(1, 300), rng.randint(1, 300))))
    assert answer.json()["predictions"][0]["classes"][0]["label"] == colour


async def several(client: httpx.AsyncClient, rng: random.Random) -> None:
    files = [
        ("image", encoded(noise(rng.randint(8, 200)), rng.choice(("JPEG", "PNG", "WEBP", "AVIF")))) for _ in range(5)
    ]
    assert len((await client.post("/v1/classify", files=files)).json()["predictions"]) == 5


async def damage(client: httpx.AsyncClient, rng: random.Random) -> None:
    for path, requests in (("/v1/classify", hostile.images), ("/v2/models/colours/infer", hostile.inferences)):
        request = next(requests(rng.getrandbits(32)))
        assert (await client.post(path, content=request.body, headers=request.headers)).status_code < 500


async def leave(client: httpx.AsyncClient, rng: random.Random) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(rng.uniform(0.001, 0.02)):
            await client.post("/v1/classify", content=encoded(noise(400)))


async def vanish(client: httpx.AsyncClient, rng: random.Random) -> None:
    connection = socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=PATIENCE_S)
    with connection:
        connection.sendall(
            b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"[: rng.randint(0, 80)]
        )


async def look(client: httpx.AsyncClient, rng: random.Random) -> None:
    for path in ("/metrics", "/v1/models", "/readyz", "/nowhere", "/v2/models/stats", "/openapi.json"):
        assert (await client.get(path)).status_code in {200, 404}


USES: tuple[Callable[[httpx.AsyncClient, random.Random], Coroutine[None, None, None]], ...] = (
    classify, classify, several, damage, leave, vanish, look,
)  # fmt: skip


async def use(url: str, seconds: float, seed: int) -> int:
    """Everything at once, from several callers; how many uses it were."""
    end, uses = time.monotonic() + seconds, 0

    async def caller(client: httpx.AsyncClient, rng: random.Random) -> None:
        nonlocal uses
        while time.monotonic() < end:
            await rng.choice(USES)(client, rng)
            uses += 1

    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        await asyncio.gather(*(caller(client, random.Random(seed + number)) for number in range(8)))
    return uses


@pytest.mark.parametrize("seconds", [4, pytest.param(240, marks=pytest.mark.slow)])
async def test_use_and_abuse_leave_no_memory_files_or_threads_behind(tmp_path, seconds):
    publish_colours(tmp_path)
    with serving(tmp_path) as (url, process):
        await use(url, seconds / 2, seed=1)
        before = footprint(process.pid)
        uses = await use(url, seconds / 2, seed=2)
        metrics_with(url, "harmonic_requests_in_flight 0.0")
        after = footprint(process.pid)
        sys.stdout.write(f"{uses} uses: {before} -> {after}\n")
        assert uses > 2 * seconds
        assert after.memory - before.memory < GROWTH
        assert after.threads <= before.threads + 32  # asyncio's own pool grows to its size, once
        assert after.files <= before.files + 8
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
