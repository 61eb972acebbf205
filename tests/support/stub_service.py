"""A service that answers as a test says, after as long as it says: to be put under load."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LABEL = b'{"predictions":[{"classes":[{"label":"cat"}]}]}'
# Seconds until the answer to each request in its order, and the answer; None closes the connection instead.
Answer = Callable[[int], tuple[float, bytes | None]]


def http(status: int = 200, body: bytes = LABEL, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(LABEL), LABEL)


@contextmanager
def stub(answer: Answer, heard: list[bytes] | None = None, ports: list[int] | None = None) -> Iterator[str]:
    """Its address, while it listens. It closes whatever is open at its end. heard: takes the head of every request;
    ports: takes the port that each came from."""
    loop = asyncio.new_event_loop()
    listening: list[asyncio.Server] = []
    up = threading.Event()
    count = iter(range(10**9))
    note = _noting(heard, ports)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or b"0"))
                note(head, writer.get_extra_info("peername")[1])
                delay, said = answer(next(count))
                await asyncio.sleep(delay)
                if said is None:
                    return
                writer.write(said)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def listen() -> None:
        listening.append(await asyncio.start_server(serve, "127.0.0.1", 0))
        up.set()

    async def end() -> None:
        listening[0].close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def work() -> None:
        loop.run_until_complete(listen())
        loop.run_forever()
        loop.run_until_complete(end())
        loop.close()

    thread = threading.Thread(target=work, name="stub")
    thread.start()
    assert up.wait(60)
    try:
        yield f"http://127.0.0.1:{listening[0].sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)


def _noting(heard: list[bytes] | None, ports: list[int] | None) -> Callable[[bytes, int], None]:
    def note(head: bytes, port: int) -> None:
        if heard is not None:
            heard.append(head)
        if ports is not None:
            ports.append(port)

    return note
