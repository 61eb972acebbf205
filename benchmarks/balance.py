"""Three ways of putting two processes behind one port: how evenly they get connections, and what a new one costs.

python -m benchmarks.balance

reuseport: a socket each, the kernel chooses by a hash. inherited: one socket, whoever wakes first accepts. handed: one
process accepts and hands each connection to the one that has the fewest.
"""

import asyncio
import os
import signal
import socket
import statistics
import sys
import time
from collections.abc import Callable

import uvloop

from service.processes.handing import MAIN, Hand, Reception, Taker

WORKERS, KEPT, ROUNDS, SECONDS, CALLERS = 2, 32, 9, 4.0, 8
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d"


class Answers(asyncio.Protocol):
    """Answers whatever comes with the worker's number, after as much work as a small request takes."""

    def __init__(self, number: int, ended: Callable[[], None]) -> None:
        self._answer, self._ended = ANSWER % number, ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        end = time.perf_counter() + 0.0002
        while time.perf_counter() < end:
            pass
        self._transport.write(self._answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()


def listener(address: tuple[str, int], reuse: bool = False) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind(address)
    one.listen(2048)
    return one


async def accept(number: int, one: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Answers(number, lambda: None), sock=one, backlog=2048)
    await asyncio.Event().wait()


async def be_handed(number: int, one: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    tasks = set()

    def take(_: bytes, connection: socket.socket) -> None:
        task = loop.create_task(loop.connect_accepted_socket(lambda: Answers(number, taker.ended), connection))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    taker = Taker(one, take)
    await asyncio.Event().wait()


async def hand_out(one: socket.socket, ends: list[socket.socket]) -> None:
    hands = [Hand(end) for end in ends]
    Reception({MAIN: [one]}, lambda: hands).resume()
    await asyncio.Event().wait()


def forked(run: Callable[[], object]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        run()
    finally:
        os._exit(0)


def start(way: str) -> tuple[tuple[str, int], list[int]]:
    first = listener(("127.0.0.1", 0), reuse=way == "reuseport")
    address = first.getsockname()
    if way == "handed":
        pairs = [socket.socketpair() for _ in range(WORKERS)]
        pids = [forked(lambda n=n, e=end: uvloop.run(be_handed(n, e))) for n, (_, end) in enumerate(pairs)]
        pids.append(forked(lambda: asyncio.run(hand_out(first, [end for end, _ in pairs]))))
    else:
        own = [first] + [listener(address, True) if way == "reuseport" else first for _ in range(WORKERS - 1)]
        pids = [forked(lambda n=n, o=one: uvloop.run(accept(n, o))) for n, one in enumerate(own)]
    return address, pids


async def ask(address: tuple[str, int]) -> tuple[int, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    return int((await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(1))[-1:]), writer


async def kept(address: tuple[str, int]) -> int:
    """How many of the connections that are opened at once the fuller worker has."""
    found = await asyncio.gather(*(ask(address) for _ in range(KEPT)))
    for _, writer in found:
        writer.close()
    await asyncio.sleep(0.05)
    numbers = [number for number, _ in found]
    return max(numbers.count(number) for number in range(WORKERS))


async def fresh(address: tuple[str, int]) -> float:
    """Requests a second, each on a connection of its own."""
    end, count = time.monotonic() + SECONDS, 0

    async def caller() -> None:
        nonlocal count
        while time.monotonic() < end:
            _, writer = await ask(address)
            writer.close()
            count += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return count / SECONDS


async def measure(address: tuple[str, int]) -> tuple[list[int], float]:
    await asyncio.sleep(0.5)
    return [await kept(address) for _ in range(ROUNDS)], await fresh(address)


def main() -> None:
    for way in ("reuseport", "inherited", "handed"):
        address, pids = start(way)
        most, rate = uvloop.run(measure(address))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        sys.stdout.write(
            f"{way}: of {KEPT} connections the fuller worker has {statistics.median(most):g} "
            f"({min(most)} to {max(most)}); {rate:.0f} requests/s on fresh connections\n"
        )


if __name__ == "__main__":
    main()
