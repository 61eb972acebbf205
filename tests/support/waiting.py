"""Waits that have an end."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import httpx
import pytest

from tests.support.process import PATIENCE_S

T = TypeVar("T")


def until(look: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """What a look finds, as soon as it is something; the test fails if that takes longer than its patience."""
    end = time.monotonic() + patience_s
    while not (found := look()):
        if time.monotonic() > end:
            pytest.fail(f"waited {patience_s} s in vain; the last look found {found!r}")
        # Others need this machine to get there.
        time.sleep(0.005)
    return found


def metrics_with(url: str, words: str) -> str:
    """A running service's metrics, as soon as these words are in them."""
    return until(lambda: words in (text := _metrics(url)) and text)


def metrics_without(url: str, words: str) -> str:
    """A running service's metrics, as soon as these words are not in them."""
    return until(lambda: words not in (text := _metrics(url)) and text)


def not_ready(url: str) -> None:
    """Return as soon as a running service takes no requests."""
    until(lambda: httpx.get(f"{url}/readyz", timeout=PATIENCE_S).status_code != 200)


def _metrics(url: str) -> str:
    return httpx.get(f"{url}/metrics", timeout=PATIENCE_S).text


async def until_on_loop(look: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """The same inside a coroutine: others of its loop go on meanwhile."""
    end = time.monotonic() + patience_s
    while not (found := look()):
        if time.monotonic() > end:
            pytest.fail(f"waited {patience_s} s in vain; the last look found {found!r}")
        await asyncio.sleep(0.005)
    return found
