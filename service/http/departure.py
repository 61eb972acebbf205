"""A caller who closes the connection need not be worked for."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request

T = TypeVar("T")


class Departed(Exception):  # noqa: N818 - not an error of the service
    """The caller closed the connection."""


async def unless_departed(request: Request, work: Awaitable[T]) -> T:
    """What the work gives, or Departed as soon as the caller is gone; the work is cancelled then.

    Only for a request whose body was read to its end.
    """
    task = asyncio.current_task()
    watch = asyncio.ensure_future(_gone(request))

    def interrupt(_: "asyncio.Task[None]") -> None:
        if task is not None:
            task.cancel()

    watch.add_done_callback(interrupt)
    try:
        return await work
    except asyncio.CancelledError:
        if not watch.done() or task is None or task.uncancel():
            raise  # somebody else cancels: the server, as it stops
        raise Departed from None
    finally:
        watch.remove_done_callback(interrupt)
        watch.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
