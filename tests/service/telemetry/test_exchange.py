"""Ids of requests: each has its own, in a process and in those that are forked from it."""

import subprocess
import sys

from service.telemetry import begin

FORKED = """
import os
from service.telemetry import begin
begin([])
reading, writing = os.pipe()
if not os.fork():
    os.write(writing, begin([]).request_id.encode())
    os._exit(0)
os.wait()
print(begin([]).request_id, os.read(reading, 99).decode())
"""


def test_ids_are_sixteen_digits_and_none_comes_twice():
    ids = [begin([]).request_id for _ in range(1000)]
    assert len({*ids}) == 1000
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)


def test_a_forked_process_has_ids_of_its_own():
    said = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=60)
    parent, child = said.stdout.split()
    assert parent != child
