"""Processes that send: their shares, their samples together, and their end."""

import _thread

import numpy as np
import pytest

from service.load.answers import fault
from service.load.plan import ClosedPace, LoadPlan, OpenPace, read_address
from service.load.samples import Samples
from service.load.team import Team
from tests.support.stub_service import http, stub

POST = b"POST /x HTTP/1.1\r\nHost: stub\r\nContent-Length: 3\r\n\r\nabc"


@pytest.fixture(scope="module")
def team():
    with Team(2, fault) as members:
        yield members


def plan(url: str, pace: OpenPace | ClosedPace, **more: object) -> LoadPlan:
    return LoadPlan(**{"address": read_address(url), "requests": (POST,), "pace": pace, "warm_up_s": 0.0, **more})


def test_two_processes_do_one_load(team: Team):
    news: list[Samples] = []
    with stub(lambda _: (0.001, http())) as url:
        counted = team.run(plan(url, ClosedPace(3), seconds=None, most_requests=31), news.append)
        timed = team.run(plan(url, OpenPace(100.0), seconds=1.5), news.append)
    assert 31 <= len(counted.samples) <= 33
    assert counted.samples.answered.all()
    # 150 are expected; six standard deviations to either side.
    assert 75 < len(timed.samples) < 225
    assert timed.samples.answered.all()
    assert timed.end - timed.begin == pytest.approx(1.5)
    assert len(timed.cpu) == 2
    assert all(0 < share < 1.5 for share in timed.cpu)
    assert (timed.samples.intended >= timed.begin - 1e-6).all()
    assert 0 < sum(map(len, news)) <= len(timed.samples) + len(counted.samples)


def test_ctrl_c_ends_a_step_with_what_is_there(team: Team):
    once = iter([_thread.interrupt_main])

    def interrupt(_: Samples) -> None:
        for press in once:
            press()

    with stub(lambda n: (0.0 if n < 20 else 60.0, http())) as url:
        found = team.run(plan(url, OpenPace(100.0), seconds=60.0, timeout_s=50.0), interrupt)
    assert found.cut
    assert found.samples.answered.sum() == 20
    assert found.unfinished > 0
    assert found.end - found.begin < 30


def test_shares_add_up():
    whole = LoadPlan(read_address("http://x"), (POST,), ClosedPace(5), most_requests=7, connections=9)
    parts = [whole.share(number, 2) for number in range(2)]
    assert [part.pace.callers for part in parts] == [3, 2]
    assert [part.most_requests for part in parts] == [4, 3]
    alone = LoadPlan(read_address("http://x"), (POST,), ClosedPace(1), most_requests=7)
    assert [alone.share(number, 2).most_requests for number in range(2)] == [7, 0]
    assert len({part.seed for part in parts}) == 2
    np.testing.assert_allclose([OpenPace(90.0).share(number, 3).rate for number in range(3)], 30.0)
