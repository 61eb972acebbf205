"""The client for programs without an event loop: the asynchronous one, on a thread of its own.

So a deadline is a deadline here too, however slowly a peer reads or writes; requests go out in parallel without a
thread each; and any number of threads may share one client.
"""

import asyncio
import os
import ssl
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any, Self, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from service.answers import ModelDetail, ModelSummary
from service.client.asynchronous import PARALLEL, PATIENCE_S, AsyncClient
from service.client.errors import ClientError
from service.client.pictures import Picture, several
from service.client.replies import Classified
from service.client.retries import Retries

_RETRIES = Retries()
T = TypeVar("T")


class Client:
    """Asks one service, from any number of threads. Arguments and answers are those of `AsyncClient`."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        patience_s: float = PATIENCE_S,
        parallel: int = PARALLEL,
        retries: Retries = _RETRIES,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._made = partial(
            AsyncClient, url, key=key, patience_s=patience_s, parallel=parallel, retries=retries, tls=tls
        )
        self._lock = threading.Lock()
        self._closed = False
        self._line = _Line(self._made)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections, and end its thread. What is on its way is given up."""
        with self._lock:
            self._closed = True
        self._line.close()

    @overload
    def classify(  # type: ignore[overload-overlap]  # a str is one path
        self, images: Picture, *, top: int = 5, model: str | None = None, version: int | None = None
    ) -> Classified: ...

    @overload
    def classify(
        self, images: Iterable[Picture], *, top: int = 5, model: str | None = None, version: int | None = None
    ) -> list[Classified]: ...

    def classify(
        self,
        images: Picture | Iterable[Picture],
        *,
        top: int = 5,
        model: str | None = None,
        version: int | None = None,
    ) -> Classified | list[Classified]:
        """The likeliest classes of an image, or of each of several: see `AsyncClient.classify`."""
        listed = several(images)  # a generator runs here, on its own thread
        if listed is None:
            one = cast(Picture, images)
            return self._wait(lambda client: client.classify(one, top=top, model=model, version=version))
        return self._wait(lambda client: client.classify(listed, top=top, model=model, version=version))

    def infer(self, rows: NDArray[Any], *, model: str, version: int | None = None) -> NDArray[np.float32]:
        """The logits for rows of a model's own input: see `AsyncClient.infer`."""
        return self._wait(lambda client: client.infer(rows, model=model, version=version))

    def models(self) -> list[ModelSummary]:
        """Every model of the service."""
        return self._wait(AsyncClient.models)

    def model(self, name: str) -> ModelDetail:
        """One model, with its classes and how its images are prepared."""
        return self._wait(lambda client: client.model(name))

    def ready(self) -> bool:
        """True where the service lets requests in. Asked once: False where nobody answers, too."""
        return self._wait(AsyncClient.ready)

    def _wait(self, work: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> T:
        with self._lock:
            if self._closed:
                raise ClientError("this client is closed; make another.")
            if self._line.process != os.getpid():  # a fork has no thread but the one that made it
                self._line = _Line(self._made)
            line, future = self._line, self._line.start(work)
        try:
            return future.result()
        except CancelledError:
            raise ClientError("the client was closed before the answer came.") from None
        finally:
            future.cancel()  # an interrupt gives it up
            del line  # it lives until here, though the client be forgotten meanwhile


class _Line:
    """An asynchronous client, its event loop, and the thread that runs it."""

    def __init__(self, made: Callable[[], AsyncClient]) -> None:
        self.process = os.getpid()
        self._client = made()
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_run, args=(self._loop, self._client), name="harmonic-client", daemon=True)
        thread.start()
        # Also for a client that nobody closes, and at the end of the program.
        self.close = weakref.finalize(self, _end, self.process, self._loop, thread)

    def start(self, work: Callable[[AsyncClient], Coroutine[Any, Any, T]]) -> Future[T]:
        """Begin the work on the line's own thread."""
        return asyncio.run_coroutine_threadsafe(work(self._client), self._loop)


def _run(loop: asyncio.AbstractEventLoop, client: AsyncClient) -> None:
    loop.run_forever()
    loop.run_until_complete(_leave(client))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


async def _leave(client: AsyncClient) -> None:
    waiting = asyncio.all_tasks() - {asyncio.current_task()}
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await client.aclose()


def _end(process: int, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if process != os.getpid():  # the thread is the parent's
        return
    loop.call_soon_threadsafe(loop.stop)
    if threading.current_thread() is not thread:  # it may be the one that collects what nobody holds any more
        thread.join()
