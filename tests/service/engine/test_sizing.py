"""How many sessions a version gets, and of how many threads."""

import time
from dataclasses import dataclass, field

import pytest

from service.engine.sizing import open_side_by_side
from service.runtime import Placement, read_devices


@dataclass
class Sessions:
    """Opens backends whose one image takes so long; writes down the threads of each."""

    seconds: float
    threads: list[int] = field(default_factory=list)

    def __call__(self, placement: Placement) -> "Sessions":
        self.threads.append(placement.threads)
        return self

    def warm_up(self, batches: tuple[int, ...]) -> None:
        assert batches == (1,)
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            pass


def placed(devices: str, threads: int) -> Placement:
    return Placement(read_devices(devices).each, threads)


@pytest.mark.parametrize(
    ("seconds", "threads", "instances", "opened", "kept"),
    [
        (0.0, 2, None, [1, 1], 2),
        (0.0, 16, None, [1, 1, 1, 1], 4),
        (0.002, 2, None, [1, 2], 1),
        (0.0, 1, None, [1], 1),
        (0.0, 8, 1, [8], 1),
        (0.0, 8, 3, [8, 8, 8], 3),
    ],
)
def test_light_models_get_sessions_of_one_thread_and_heavy_ones_a_session_of_all(
    seconds, threads, instances, opened, kept
):
    sessions = Sessions(seconds)
    found = open_side_by_side(sessions, placed("cpu", threads), instances)
    assert (sessions.threads, len(found)) == (opened, kept)


def test_a_device_gets_one_session_where_nobody_says_more():
    sessions = Sessions(0.0)
    assert len(open_side_by_side(sessions, placed("cuda:0,cuda:1", 8), None)) == 2
    assert sessions.threads == [8, 8]
