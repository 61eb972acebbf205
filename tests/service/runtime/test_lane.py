"""One thread for calls that must not change threads, and that must not outlive the process."""

import gc
import subprocess
import sys
import threading

import pytest

from service.runtime.lane import Lane

PATIENCE_S = 60
HANGING = """
import threading
from service.runtime.lane import Lane

entered = threading.Event()

def hang():
    entered.set()
    threading.Event().wait()

threading.Thread(target=Lane("hangs").call, args=(hang,), daemon=True).start()
assert entered.wait(60)
print("ends")
"""


def test_every_call_is_made_in_one_thread_that_is_not_the_callers():
    lane = Lane("mine")
    names = {lane.call(lambda: threading.current_thread().name) for _ in range(3)}
    assert names == {"mine"}


def test_what_a_call_raises_is_raised_and_the_next_one_is_made():
    lane = Lane("mine")
    with pytest.raises(ZeroDivisionError):
        lane.call(lambda: 1 // 0)
    assert lane.call(lambda: 2) == 2


def test_the_thread_ends_with_the_lane():
    lane = Lane("mine")
    thread = lane.call(threading.current_thread)
    del lane
    gc.collect()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_call_that_never_returns_does_not_keep_the_process_from_ending():
    command = [sys.executable, "-c", HANGING]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (found.stdout, found.stderr) == ("ends\n", "")
