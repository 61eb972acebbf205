"""A copied process, asked as the supervisor does: by its loop and by the threads that wait for it."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from subprocess import TimeoutExpired

import pytest

from service.processes.seed import Copy

THREADS = 4


def _process(code: str) -> Copy:
    return Copy(os.posix_spawn(sys.executable, [sys.executable, "-S", "-c", code], os.environ))


def _ask(copy: Copy) -> int:
    while (status := copy.poll()) is None:
        pass
    return status


def test_every_thread_that_asks_hears_how_it_ended() -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(20):
            copy = _process("raise SystemExit(3)")
            heard = [pool.submit(_ask, copy) for _ in range(THREADS)]
            assert copy.wait(30) == 3
            assert [each.result() for each in heard] == [3] * THREADS


def test_it_may_be_ended_by_several_threads_at_once() -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        copy = _process("import time; time.sleep(60)")
        assert copy.poll() is None
        with pytest.raises(TimeoutExpired):
            copy.wait(0.02)
        for each in [pool.submit(copy.kill) for _ in range(THREADS)]:
            each.result()
        assert copy.wait(30) == -signal.SIGKILL
        copy.kill()
