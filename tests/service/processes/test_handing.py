"""Connections go from the process that accepts them to those that serve: evenly, and to none that has gone."""

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest

from service.handover import ends
from service.processes.handing import ADMIN, MAIN, Hand, Reception, Taker

pytestmark = pytest.mark.timeout(30)


class House:
    """A port, and takers that keep what they are given."""

    def __init__(self, takers: int) -> None:
        self.ports = {MAIN: socket.create_server(("127.0.0.1", 0)), ADMIN: socket.create_server(("127.0.0.1", 0))}
        self.given: list[list[tuple[bytes, socket.socket]]] = [[] for _ in range(takers)]
        self.ends = [socket.socketpair() for _ in range(takers)]
        self.hands = [Hand(one) for one, _ in self.ends]
        self.takers = [Taker(end, self._keep(kept)) for (_, end), kept in zip(self.ends, self.given, strict=True)]
        self.open = list(self.hands)
        self.reception = Reception({port: [one] for port, one in self.ports.items()}, lambda: self.open)
        self.callers: list[socket.socket] = []

    @staticmethod
    def _keep(kept: list[tuple[bytes, socket.socket]]) -> Callable[[bytes, socket.socket], None]:
        return lambda port, connection: kept.append((port, connection))

    def call(self, number: int, port: bytes = MAIN) -> None:
        for _ in range(number):
            self.callers.append(socket.create_connection(self.ports[port].getsockname(), timeout=20))

    async def until(self, number: int) -> list[int]:
        """How many each has, as soon as they have so many together."""
        async with asyncio.timeout(20):
            while sum(map(len, self.given)) < number:
                await asyncio.sleep(0.001)
        return [len(kept) for kept in self.given]

    def close(self) -> None:
        self.reception.close()
        for kept in self.given:
            for _, connection in kept:
                connection.close()
        for caller in self.callers:
            caller.close()
        for hand in self.hands:
            hand.close()
        for taker in self.takers:
            taker.close()


@pytest.fixture
async def house() -> Iterator[House]:
    house = House(2)
    yield house
    house.close()


async def test_connections_are_shared_evenly_and_are_those_that_were_made(house: House) -> None:
    house.reception.resume()
    house.call(32)
    assert await house.until(32) == [16, 16]
    made = {caller.getsockname() for caller in house.callers}
    assert {connection.getpeername() for kept in house.given for _, connection in kept} == made
    assert {port for kept in house.given for port, _ in kept} == {MAIN}


async def test_whoever_has_fewer_gets_the_next(house: House) -> None:
    house.reception.resume()
    house.call(4)
    assert await house.until(4) == [2, 2]
    for _ in range(2):
        house.takers[0].ended()
    async with asyncio.timeout(20):
        while house.hands[0].open:
            await asyncio.sleep(0.001)
    house.call(2)
    assert await house.until(6) == [4, 2]


async def test_a_connection_says_which_port_it_came_to(house: House) -> None:
    house.reception.resume()
    house.call(1, ADMIN)
    await house.until(1)
    assert [port for kept in house.given for port, _ in kept] == [ADMIN]


async def test_who_calls_while_nobody_takes_waits_and_is_not_refused(house: House) -> None:
    house.open = []
    house.reception.resume()
    house.call(3)
    await asyncio.sleep(0)
    assert house.given == [[], []]
    house.open = house.hands[:1]
    house.reception.resume()
    assert await house.until(3) == [3, 0]


async def test_one_that_has_died_is_passed_over(house: House) -> None:
    house.takers[0].close()
    house.reception.resume()
    house.call(4)
    assert await house.until(4) == [0, 4]


async def test_who_came_before_the_port_closed_is_given_away_and_nobody_comes_after(house: House) -> None:
    house.reception.resume()
    house.call(3)
    address = house.ports[MAIN].getsockname()
    house.reception.close()
    assert sum(await house.until(3)) == 3
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=20)


async def test_ways_between_two_processes_are_given_whole_and_in_order_with_connections() -> None:
    given, taken = socket.socketpair()
    hand, met = Hand(given), []
    taker = Taker(taken, lambda _, connection: connection.close(), lambda way, owner: met.append((way, owner)))
    heres = []
    for owner in (1, 64, 2):
        here, there = ends()
        hand.introduce(there, owner)
        heres.append(here)
    async with asyncio.timeout(20):
        while len(met) < 3:
            await asyncio.sleep(0.001)
    assert hand.open == 0  # a way is no connection
    assert [owner for _, owner in met] == [1, 64, 2]
    for number, ((way, _), here) in enumerate(zip(met, heres, strict=True)):
        assert way is not None
        for one, other in zip(way, here, strict=True):
            one.setblocking(True)
            one.sendall(b"%d" % number)
            assert other.recv(9) == b"%d" % number
            one.close()
            other.close()
    taker.close()
    hand.close()
