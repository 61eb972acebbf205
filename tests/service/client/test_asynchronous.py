"""The asynchronous client on real sockets: what it survives, how long it takes at most, and to whom it says the key."""

import asyncio
import socket
import ssl
import time

import numpy as np
import pytest
import trustme

from harmonic.pixels import PixelSpec
from service.client import (
    AsyncClient,
    ClientError,
    OutOfPatience,
    Rejected,
    Retries,
    UnexpectedAnswerError,
    Unreachable,
)
from tests.support.answers import CLASSIFIED, error
from tests.support.colours import CLASSES
from tests.support.images import plain
from tests.support.peers import peer
from tests.support.process import free_port
from tests.support.stub_service import http, stub

QUICK = Retries(first_s=0.001, longest_s=0.01)
RED, FULL = http(200, CLASSIFIED), error(429, "queue_full", "Retry-After: 1")
KEY = "hk_secret"


async def classified(script, **options):
    """The label that comes of answers in this order, and the heads of the requests that they answered."""
    heard = []
    with stub(lambda number: script[min(number, len(script) - 1)], heard) as address:
        async with AsyncClient(address, **{"retries": QUICK, **options}) as client:
            return (await client.classify(b"picture")).label, heard


async def test_pictures_are_classified_in_order_by_requests_that_the_service_takes(url):
    colours = [("red", "green", "blue")[number % 3] for number in range(23)]
    async with AsyncClient(url) as client:
        answers = await client.classify([plain(colour) for colour in colours], top=1, version=2, model="colours")
        assert [answer.label for answer in answers] == colours
        assert {(answer.model, answer.version, len(answer.classes)) for answer in answers} == {("colours", 2, 1)}
        older = await client.classify(plain("red"), model="colours", version=1)
        assert (older.version, len(older.classes), older.label == "red") == (1, 3, False)
        assert await client.classify([]) == []


async def test_pictures_too_large_together_go_in_smaller_requests(url):
    heavy = plain("green") + b"\0" * 60_000  # what stands behind a PNG's end is passed over
    async with AsyncClient(url) as client:
        assert [each.label for each in await client.classify([heavy] * 3, model="colours")] == ["green"] * 3
        with pytest.raises(Rejected) as refusal:
            await client.classify([b"\0" * 200_000, heavy])
        assert refusal.value.code == "body_too_large"


async def test_rows_have_the_logits_of_the_graph(url):
    rows = np.random.default_rng(0).integers(0, 256, (23, 8, 8, 3), dtype=np.uint8)
    async with AsyncClient(url) as client:
        found = await client.infer(rows, model="colours", version=2)
    np.testing.assert_allclose(found, rows.mean(axis=(1, 2)) * 8 / 255, rtol=1e-5)


async def test_the_service_is_described(url):
    async with AsyncClient(url) as client:
        (summary,) = await client.models()
        detail = await client.model("colours")
        assert (summary.name, [each.version for each in summary.versions]) == ("colours", [1, 2])
        assert tuple(detail.versions[0].labels) == CLASSES
        assert detail.versions[0].pixels == PixelSpec(height=8, width=8)
        assert await client.ready()
        with pytest.raises(Rejected, match="404"):
            await client.model("none")


@pytest.mark.parametrize(
    "passing",
    [(0, None), (0, error(503, "draining")), (0, error(429, "queue_full")), (0, http(502, b""))],
    ids=["closed", "draining", "full", "balancer"],
)
async def test_it_asks_again_after(passing):
    label, heard = await classified([passing, passing, (0, RED)])
    assert label == "red"
    assert len(heard) == 3


@pytest.mark.parametrize("part", [RED[:10], RED[:-10]], ids=["head", "body"])
async def test_an_answer_that_is_cut_off_is_asked_for_again(part):
    answers = iter([part, part, RED])

    async def serve(reader, writer):
        await reader.readuntil(b"picture")
        writer.write(next(answers))

    async with peer(serve) as address, AsyncClient(address, retries=QUICK) as client:
        assert (await client.classify(b"picture")).label == "red"
    assert next(answers, None) is None


async def test_it_comes_back_no_sooner_than_it_is_told():
    began = time.monotonic()
    label, heard = await classified([(0, FULL), (0, RED)])
    assert time.monotonic() - began >= 1
    assert (label, len(heard)) == ("red", 2)


async def test_a_refusal_is_final():
    with pytest.raises(Rejected, match="image_not_decodable"):
        await classified([(0, error(422, "image_not_decodable")), (0, RED)])


async def test_nobody_there_is_told_after_a_few_tries():
    async with AsyncClient(f"http://127.0.0.1:{free_port()}", retries=Retries(most=2, first_s=0.001)) as client:
        assert not await client.ready()
        with pytest.raises(Unreachable, match=r"asked 3 times\. Is the service running"):
            await client.classify(b"picture")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"], ids=["silent", "slow body"])
async def test_patience_is_the_longest_that_a_request_takes(said):
    began = time.monotonic()
    with pytest.raises(OutOfPatience, match=r"gave no answer within 0\.3 s"):
        await classified([(0, said)], patience_s=0.3)
    assert 0.3 <= time.monotonic() - began < 20


async def test_an_answer_that_comes_drop_by_drop_does_not_outlast_patience():
    async def drip(reader, writer):
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with peer(drip) as address, AsyncClient(address, patience_s=0.3) as client:
        with pytest.raises((OutOfPatience, Unreachable)):
            await client.classify(b"picture")


async def test_the_service_is_told_how_long_an_answer_is_of_use(url):
    _, heard = await classified([(0, RED)], patience_s=7)
    (timeout_ms,) = [int(part.partition(b"=")[2]) for part in heard[0].split()[1].split(b"&") if b"timeout" in part]
    assert 6000 < timeout_ms <= 7000


async def test_a_redirect_is_told_and_neither_key_nor_picture_is_sent_on():
    heard = []
    with stub(lambda _: (0, RED), heard) as elsewhere:
        with pytest.raises(UnexpectedAnswerError, match=f"moved to {elsewhere}/v1") as told:
            await classified([(0, http(307, b"", f"Location: {elsewhere}/v1/classify"))], key=KEY)
        assert heard == []
    assert KEY not in str(told.value)


async def test_the_key_goes_into_its_header_alone():
    _, (head,) = await classified([(0, RED)], key=KEY)
    assert head.count(KEY.encode()) == 1
    assert f"authorization: bearer {KEY}".encode() in head


async def test_a_connection_that_the_service_closed_meanwhile_is_not_used_again():
    """It answers, and closes; the client's end is still open when the next request comes."""
    closing = http(200, CLASSIFIED, "Keep-Alive: timeout=5")
    count = iter(range(99))

    async def once(reader, writer):
        await reader.readuntil(b"picture")
        next(count)
        writer.write(closing)
        writer.write_eof()
        await reader.read()

    async with peer(once) as address, AsyncClient(address, retries=QUICK) as client:
        for _ in range(3):
            assert (await client.classify(b"picture")).label == "red"
    assert next(count) == 3


async def test_who_is_cancelled_lets_go_of_the_connection_and_of_its_turn():
    gone, come = asyncio.Event(), asyncio.Event()

    async def silent(reader, writer):
        await reader.readuntil(b"picture")
        come.set()
        await reader.read()
        gone.set()

    async with peer(silent) as address, AsyncClient(address, parallel=1, retries=Retries(most=0)) as client:
        for _ in range(2):
            asking = asyncio.ensure_future(client.classify(b"picture"))
            await asyncio.wait_for(come.wait(), 60)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            await asyncio.wait_for(gone.wait(), 60)
            come.clear()
            gone.clear()


async def test_who_waits_for_a_turn_has_no_more_patience_than_others():
    with stub(lambda _: (60, RED)) as address:
        async with AsyncClient(address, parallel=1, patience_s=0.3) as client:
            first, second = await asyncio.gather(
                client.classify(b"picture"), client.classify(b"picture"), return_exceptions=True
            )
    for each in (first, second):  # the second may have its turn at the last moment
        assert isinstance(each, OutOfPatience)
        assert "0.3 s" in str(each)


async def test_a_certificate_that_nobody_vouches_for_is_told_at_once_and_one_that_is_known_is_taken():
    authority, served = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(served)

    async def answer(reader, writer):
        await reader.readuntil(b"picture")
        writer.write(RED)

    known = ssl.create_default_context()
    authority.configure_trust(known)
    async with (
        peer(answer, ssl=served) as address,
        AsyncClient(address) as stranger,
        AsyncClient(address, tls=known) as friend,
    ):
        with pytest.raises(Unreachable, match=r"CERTIFICATE_VERIFY_FAILED.*\)\. Is"):
            await stranger.classify(b"picture")
        assert (await friend.classify(b"picture")).label == "red"


def test_impossible_wishes_are_refused():
    for wish in ({"patience_s": 0}, {"parallel": 0}):
        with pytest.raises(ClientError, match="more than 0"):
            AsyncClient("http://there", **wish)


async def test_a_body_that_is_half_sent_when_the_service_goes_is_sent_again():
    """It takes a little of a large picture and closes with the rest unread, so that the connection is reset."""
    count = iter(range(99))

    async def serve(reader, writer):
        if next(count) < 2:
            await reader.readexactly(1000)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
            return
        await reader.readuntil(b"END")
        writer.write(RED)
        await writer.drain()

    async with peer(serve, limit=2**24) as address, AsyncClient(address, retries=QUICK) as client:
        assert (await client.classify(b"\0" * 2**22 + b"END")).label == "red"
