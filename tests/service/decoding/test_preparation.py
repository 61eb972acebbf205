import asyncio
import threading
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from PIL import Image

from harmonic.pixels import PixelSpec
from service.batching.ticket import Rows, Ticket
from service.config import Limits
from service.decoding.pool import Errand, Pool
from service.decoding.preparation import Preparation
from service.errors import DecodeError, ImageTooCostly
from service.http.buffers import Buffers
from tests.support.images import encoded, plain

PATIENCE_S = 20
SPEC = PixelSpec(height=8, width=8)
MIB = 2**20


class Desk:
    """Where a ticket is handed in: it remembers what came, and may hold whoever hands it in until the gate opens."""

    def __init__(self, hold: bool = False) -> None:
        self.rows: Rows | None = None
        self.error: Exception | None = None
        self.settled, self.gate = threading.Event(), threading.Event()
        if not hold:
            self.gate.set()

    def submit(self, ticket: Ticket, rows: Rows) -> None:
        self.rows = rows
        self.settled.set()
        assert self.gate.wait(PATIENCE_S)

    def fail(self, ticket: Ticket, error: Exception) -> None:
        self.error = error
        self.settled.set()

    def leave(self, ticket: Ticket) -> None:
        raise AssertionError("nobody leaves here")


class Loan:
    """Says when the last holder let go."""

    def __init__(self) -> None:
        self.held, self.returned = 0, threading.Event()

    def hold(self) -> None:
        self.held += 1

    def drop(self) -> None:
        self.held -= 1
        if not self.held:
            self.returned.set()


class Busy:
    """A pool whose threads are all held, until the gate opens; `small` says that the one for small work is free."""

    def __init__(self, threads: int = 1, small: bool = False) -> None:
        self.pool = Pool(threads, "test", memory=2**30)
        self.gate, self._entered = threading.Event(), threading.Semaphore(0)
        for memory in [1] * threads + [0] * (not small):
            self.pool.submit(Errand(self._hold, memory=memory))
            assert self._entered.acquire(timeout=PATIENCE_S)

    def _hold(self) -> None:
        self._entered.release()
        assert self.gate.wait(PATIENCE_S)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    opened = asyncio.new_event_loop()
    yield opened
    opened.close()


def ticket(desk: Desk, loop: asyncio.AbstractEventLoop, size: int = 1) -> Ticket:
    return Ticket(desk, size, 1, 0, PATIENCE_S, loop.create_future())


def large() -> bytes:
    """A picture of 9 million pixels, in a few kilobytes."""
    return encoded(Image.new("RGB", (3000, 3000), "green"), "JPEG")


def test_the_images_of_a_caller_who_left_are_forgotten_at_once(loop):
    busy, buffers, desk = Busy(), Buffers(100 * MIB), Desk()
    preparation = Preparation(busy.pool, Limits())
    tracemalloc.start()
    with buffers.share() as share:
        share.take(40 * MIB)
        images = [bytes(MIB) for _ in range(40)]
        with preparation.start(ticket(desk, loop, 40), images, SPEC, loan=share):
            del images
            assert tracemalloc.get_traced_memory()[0] > 40 * MIB
            assert buffers.held == 40 * MIB
    assert tracemalloc.get_traced_memory()[0] < 2 * MIB
    assert buffers.held == 0
    tracemalloc.stop()
    busy.gate.set()
    preparation.close()


def test_an_image_in_hand_is_counted_until_it_is_put_down(loop):
    desk, loan = Desk(hold=True), Loan()
    preparation = Preparation(Pool(1, "test"), Limits())
    with preparation.start(ticket(desk, loop), [plain()], SPEC, loan=loan):
        assert desk.settled.wait(PATIENCE_S)  # a thread has the image in hand, and is held there
    assert not loan.returned.is_set()
    desk.gate.set()
    assert loan.returned.wait(PATIENCE_S)
    preparation.close()


@pytest.mark.parametrize("large_first", [True, False])
def test_a_small_image_is_prepared_while_another_models_large_ones_wait(loop, large_first):
    busy, a, b = Busy(small=True), [Desk() for _ in range(3)], Desk()
    preparation = Preparation(busy.pool, Limits())
    picture = large()

    def flood() -> None:
        for desk in a:
            preparation.start(ticket(desk, loop), [picture], SPEC, model="a")

    if large_first:
        flood()
    preparation.start(ticket(b, loop), [plain()], SPEC, model="b")
    if not large_first:
        flood()
    assert b.settled.wait(PATIENCE_S)
    assert not any(desk.settled.is_set() for desk in a)
    busy.gate.set()
    assert all(desk.settled.wait(PATIENCE_S) for desk in a)
    preparation.close()


def test_a_large_image_of_one_model_is_not_last_in_the_line_of_another(loop):
    busy = Busy(small=True)
    order: list[str] = []

    class Noting(Desk):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def submit(self, ticket: Ticket, rows: Rows) -> None:
            order.append(self.name)
            super().submit(ticket, rows)

    preparation, picture = Preparation(busy.pool, Limits()), large()
    a, b, last = [Noting("a") for _ in range(4)], Noting("b"), Desk()
    for desk in a:
        preparation.start(ticket(desk, loop), [picture], SPEC, model="a")
    preparation.start(ticket(b, loop), [picture], SPEC, model="b")
    preparation.start(ticket(last, loop), [plain()], SPEC, model="c")
    assert last.settled.wait(PATIENCE_S)  # it came after the looks at the others' headers
    busy.gate.set()
    for desk in [*a, b]:
        assert desk.settled.wait(PATIENCE_S)
    assert order.index("b") <= 1
    preparation.close()


def test_a_wrong_image_is_named_and_one_beyond_the_memory_set_aside_too(loop):
    preparation = Preparation(Pool(1, "test"), Limits(decoded_bytes=20 * MIB))
    wrong, costly = Desk(), Desk()
    preparation.start(ticket(wrong, loop, 2), [plain(), b"no image"], SPEC)
    preparation.start(ticket(costly, loop, 2), [plain(), large()], SPEC)
    for desk in (wrong, costly):
        assert desk.settled.wait(PATIENCE_S)
        assert str(desk.error).startswith("image 2 of 2: ")
    assert isinstance(wrong.error, DecodeError)
    assert isinstance(costly.error, ImageTooCostly)
    preparation.close()


def test_the_time_of_preparing_is_told(loop):
    preparation, desk = Preparation(Pool(1, "test"), Limits()), Desk(hold=True)
    before = time.monotonic()
    job = preparation.start(ticket(desk, loop), [plain()], SPEC)
    assert desk.settled.wait(PATIENCE_S)
    assert 0 < job.decode_s <= time.monotonic() - before
    desk.gate.set()
    preparation.close()
