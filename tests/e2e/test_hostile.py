"""Thousands of damaged requests against a real process: refused in good order, at no cost that stays."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest

from tests.support import hostile
from tests.support.colours import publish_colours
from tests.support.hostile import Hostile
from tests.support.images import plain
from tests.support.process import PATIENCE_S, memory_bytes, serving

CALLERS = 8
INFER, CLASSIFY = "/v2/models/colours/infer", "/v1/classify"
GROWTH = 48 * 2**20  # of one half of the requests over the other; what the allocator keeps varies by less


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    publish_colours(tmp_path / "models")
    return tmp_path / "models"


async def post_all(url: str, path: str, requests: Iterator[Hostile], count: int) -> Counter[int]:
    """Post them from several callers at once; count the answers by status."""
    left, statuses = islice(requests, count), Counter[int]()

    async def caller(client: httpx.AsyncClient) -> None:
        for request in left:
            answer = await client.post(path, content=request.body, headers=request.headers)
            statuses[answer.status_code] += 1
            assert answer.status_code == 200 or "error" in answer.json(), answer.text
            hasty = answer.status_code == 504 and b'"timeout"' in request.body  # it asked for a microsecond
            assert answer.status_code < 500 or hasty, (answer.text, request)

    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        await asyncio.gather(*(caller(client) for _ in range(CALLERS)))
    return statuses


async def survives(repository: Path, path: str, requests: Iterator[Hostile], count: int) -> Counter[int]:
    with serving(repository, buffered_bytes=str(256 * 2**20)) as (url, process):
        first = await post_all(url, path, requests, count // 2)
        before = memory_bytes(process.pid)
        second = await post_all(url, path, requests, count - count // 2)
        growth = memory_bytes(process.pid) - before
        sys.stdout.write(f"{path}: {dict(first + second)}, {before / 2**20:.0f} MiB and {growth / 2**20:+.1f}\n")
        assert growth < GROWTH
        answer = httpx.post(f"{url}{CLASSIFY}", content=plain("green"), timeout=PATIENCE_S)
        assert answer.json()["predictions"][0]["classes"][0]["label"] == "green"
        assert process.poll() is None
    return first + second


@pytest.mark.parametrize("count", [2400, pytest.param(20_000, marks=pytest.mark.slow)])
async def test_damaged_images_give_no_5xx_and_leave_no_memory_behind(repository, count):
    statuses = await survives(repository, CLASSIFY, hostile.images(seed=1), count)
    assert statuses.total() == count
    assert set(statuses) <= {200, 400, 413, 415, 422}
    assert statuses[422] > count // 10


@pytest.mark.parametrize("count", [1200, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_damaged_inference_requests_give_no_5xx_and_leave_no_memory_behind(repository, count):
    statuses = await survives(repository, INFER, hostile.inferences(seed=2), count)
    assert statuses.total() == count
    assert set(statuses) <= {200, 400, 413, 504}
    assert statuses[400] > count // 3
