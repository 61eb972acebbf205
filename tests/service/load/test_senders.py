"""Callers and arrivals: what they send, what they count, and that a stall of the service is seen."""

import time

import numpy as np
import pytest

from service.load.answers import fault
from service.load.figures import failures
from service.load.plan import ClosedPace, LoadPlan, OpenPace, Pace, read_address
from service.load.samples import LOST, REFUSED, TIMEOUT, WRONG, Recorder, Samples
from service.load.senders import sender
from tests.support.process import free_port
from tests.support.stub_service import CHUNKED, LABEL, Answer, http, stub

LAST = http(200, LABEL, "Connection: close")
POST = b"POST /x HTTP/1.1\r\nHost: stub\r\nContent-Length: 3\r\n\r\nabc"


async def sent(url: str, pace: Pace, **plan: object) -> Samples:
    recorder = Recorder()
    made = LoadPlan(
        address=read_address(url), requests=(POST,), pace=pace, **{"warm_up_s": 0.0, "check_every": 1, **plan}
    )
    await sender(made, recorder, fault, time.perf_counter()).run(lambda: False)
    return recorder.samples()


async def sent_to(answer: Answer, pace: Pace, **plan: object) -> Samples:
    with stub(answer) as url:
        return await sent(url, pace, **plan)


def well(_: int) -> tuple[float, bytes]:
    return 0.0, http()


@pytest.mark.parametrize("pace", [ClosedPace(3), OpenPace(500.0)], ids=str)
@pytest.mark.parametrize("answer", [http(), CHUNKED, LAST], ids=["whole", "in chunks", "the last"])
async def test_every_request_is_answered_and_counted(pace: Pace, answer: bytes):
    samples = await sent_to(lambda _: (0.0, answer), pace, seconds=None, most_requests=40)
    # Callers who are at it when the last one begins may begin one more each.
    assert 40 <= len(samples) <= 42
    assert samples.answered.all()
    assert (samples.ended >= samples.sent).all()
    assert (samples.sent >= samples.intended).all()


@pytest.mark.parametrize("pace", [ClosedPace(1), OpenPace(500.0)], ids=str)
@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (http(429, b"{}"), 429),
        (http(503, b"{}", "Connection: close"), 503),
        (http(200, b"<p>hello"), WRONG),
        (http(200, b'{"predictions": []}'), WRONG),
        (b"HELLO\r\n\r\n", LOST),
        (None, LOST),
    ],
    ids=["429", "503", "no JSON", "no label", "no HTTP", "closed"],
)
async def test_what_is_no_good_answer_is_counted_by_its_kind(pace: Pace, said: bytes | None, kind: int):
    samples = await sent_to(lambda n: (0.0, said if n % 2 else http()), pace, seconds=None, most_requests=20)
    assert set(samples.outcome.tolist()) == {200, kind}
    assert (samples.outcome == kind).sum() >= 9


@pytest.mark.parametrize("pace", [ClosedPace(2), OpenPace(200.0)], ids=str)
async def test_a_request_that_is_never_answered_is_given_up_and_the_next_is_sent(pace: Pace):
    samples = await sent_to(
        lambda n: (60.0 if n == 0 else 0.0, http()), pace, seconds=None, most_requests=20, timeout_s=0.3
    )
    late = samples.only(samples.outcome == TIMEOUT)
    assert len(late) == 1
    assert late.latency[0] >= 0.3
    assert samples.answered.sum() == len(samples) - 1


@pytest.mark.parametrize("pace", [ClosedPace(2), OpenPace(100.0)], ids=str)
async def test_where_nobody_listens_requests_are_refused(pace: Pace):
    samples = await sent(f"http://127.0.0.1:{free_port()}", pace, seconds=None, most_requests=4)
    assert len(samples) >= 4
    assert (samples.outcome == REFUSED).all()
    assert failures(samples) == {"refused": len(samples)}


STALL_S = 0.5


def stalls(n: int) -> tuple[float, bytes]:
    """All that come while one request stalls wait for its end, as behind a lock."""
    now = time.monotonic()
    if n == 0:
        stalls.end = now + 0.2 + STALL_S
        stalls.begin = now + 0.2
    return max(stalls.end - now, 0.0) if now >= stalls.begin else 0.0, http()


async def test_a_stall_is_seen_by_an_open_load_and_hidden_by_a_closed_one():
    closed = await sent_to(stalls, ClosedPace(1), seconds=1.2)
    opened = await sent_to(stalls, OpenPace(200.0), seconds=1.2)
    # The one caller waited once; of the arrivals all those of 0.5 s did, on average for half of it.
    assert (closed.latency > STALL_S / 2).sum() == 1
    assert np.percentile(closed.latency, 90) < STALL_S / 2
    assert (opened.latency > STALL_S / 2).sum() >= 200 * STALL_S / 2 * 0.6
    assert np.percentile(opened.latency, 90) > STALL_S / 2


async def test_where_connections_are_few_the_wait_for_one_counts():
    samples = await sent_to(lambda _: (0.05, http()), OpenPace(200.0), seconds=0.25, connections=1)
    assert samples.held.sum() > len(samples) / 2
    # Twenty a second are answered, two hundred are wanted.
    assert samples.latency.max() > 0.5
    np.testing.assert_allclose((samples.ended - samples.sent).min(), 0.05, atol=0.04)


async def test_latencies_are_those_of_the_service():
    delays = [0.02, 0.02, 0.02, 0.2]
    samples = await sent_to(lambda n: (delays[n % 4], http()), OpenPace(100.0), seconds=1.0)
    slow = (samples.latency >= 0.2).mean()
    assert slow > 0.2
    assert samples.latency.min() >= 0.02
    assert np.percentile(samples.latency, 60, method="inverted_cdf") < 0.2


async def test_an_open_load_uses_the_connection_that_has_been_idle_longest():
    ports: list[int] = []
    with stub(lambda n: (0.5 if n < 3 else 0.0, http()), ports=ports) as url:
        # The first three wait for their answers together, so there are three connections, which then take turns.
        await sent(url, OpenPace(50.0), seconds=None, most_requests=90)
    later = ports[-30:]
    assert len(set(later)) >= 3
    assert all(later[n] != later[n + 1] for n in range(29))
