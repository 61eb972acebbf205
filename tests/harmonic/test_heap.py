"""Measured in processes of their own: how memory is handled is settled for the whole process."""

import subprocess
import sys

import pytest

from harmonic import heap

_CHURN = """
import resource, sys
import torch
from harmonic.heap import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range(8):
    before = faults() if number < 3 else before
    made = [torch.zeros(size << 20, dtype=torch.uint8) for size in (5, 60, 30, 90, 2)]
    del made
print(faults() - before)
"""


def _faults(how: str) -> int:
    return int(subprocess.run([sys.executable, "-c", _CHURN, how], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's setting")
def test_what_was_freed_is_not_asked_of_the_system_again() -> None:
    assert _faults("kept") < 0.5 * _faults("plain")


def test_where_the_c_library_cannot_be_told_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: object())
    assert not heap.keep_freed_memory()
    monkeypatch.setattr(heap.sys, "platform", "darwin")
    assert not heap.keep_freed_memory()
