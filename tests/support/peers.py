"""What listens on a socket of this event loop and does as a test says: the other end of a client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(serve: Serve, **options: Any) -> AsyncIterator[str]:
    """Its address. A connection is closed where `serve` ends, and all are at its own end."""
    open_ones: set[asyncio.Task[None]] = set()

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        open_ones.add(task)
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            open_ones.discard(task)

    server = await asyncio.start_server(each, "127.0.0.1", 0, **options)
    scheme = "https" if "ssl" in options else "http"
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in (left := list(open_ones)):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
