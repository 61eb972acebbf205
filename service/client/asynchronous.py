"""The client for programs with an event loop. It carries out what a talk wants, on httpx."""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Self, TypeVar, cast, overload

import httpx
import numpy as np
from numpy.typing import NDArray

from service.answers import ModelDetail, ModelList, ModelSummary
from service.client.errors import ClientError, OutOfPatience, Rejected, Unreachable
from service.client.parts import KnownSizes, in_parts
from service.client.pictures import Picture, encoded, several
from service.client.replies import Classified, check, classified, logits, read_answer
from service.client.retries import Budget, Retries
from service.client.talk import Lost, Manners, Pause, Reply, Send, Talk, talk
from service.client.wording import Wording, Write, check_rows
from service.credential import authorization

PATIENCE_S, PARALLEL = 60.0, 8
_CONNECT_S = 5.0
_RETRIES = Retries()
log = logging.getLogger(__name__)
T = TypeVar("T")


class AsyncClient:
    """Asks one service, from one event loop. It asks again where a connection is lost, and after 429, 502 and 503.

    key: an API key, else that of the environment variable HARMONIC_API_KEY. patience_s: the longest that one request
    may take, its repetitions included; the service is told, and gives up then too. parallel: requests at once, each
    with a connection of its own. tls: for a service whose certificate the system does not know.
    """

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
        if patience_s <= 0 or parallel < 1:
            raise ClientError(f"patience_s is {patience_s} and parallel {parallel}; both want to be more than 0.")
        self._wording = Wording(url)
        self._patience_s = patience_s
        self._parallel = parallel
        self._slots = asyncio.Semaphore(parallel)
        self._manners = Manners(retries, Budget(retries), time.monotonic, random.random)
        self._once = Manners(Retries(most=0), Budget(retries), time.monotonic, random.random)
        self._sizes = KnownSizes()
        self._http = httpx.AsyncClient(
            headers=authorization(key),
            # A whole attempt has its time; no part of it needs one of its own but to find that nobody is there.
            timeout=httpx.Timeout(None, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=parallel),
            verify=tls or True,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    @overload
    async def classify(  # type: ignore[overload-overlap]  # a str is one path
        self, images: Picture, *, top: int = 5, model: str | None = None, version: int | None = None
    ) -> Classified: ...

    @overload
    async def classify(
        self, images: Iterable[Picture], *, top: int = 5, model: str | None = None, version: int | None = None
    ) -> list[Classified]: ...

    async def classify(
        self,
        images: Picture | Iterable[Picture],
        *,
        top: int = 5,
        model: str | None = None,
        version: int | None = None,
    ) -> Classified | list[Classified]:
        """The likeliest classes of an image, or of each of several.

        images: paths, bytes of encoded images, Pillow images or arrays (height, width, 3). Several are cut into
        requests as large as the service takes, which go out in parallel; the first error ends all.
        Raises ClientError and its kinds, PixelError.
        """
        given = several(images)
        if given is None:
            return (await self._classify([cast(Picture, images)], top, model, version))[0]
        size = await self._size(model, version) if len(given) > 1 else 1
        ask = partial(self._classify, top=top, model=model, version=version)
        return await in_parts(given, size, self._parallel, self._shrinking(ask, model, version))

    async def infer(self, rows: NDArray[Any], *, model: str, version: int | None = None) -> NDArray[np.float32]:
        """The logits for rows of a model's own input: prepared images, uint8 or float32, (images, height, width,
        channels). By the Open Inference Protocol, in binary. Raises as `classify` does."""

        check_rows(rows)

        async def ask(part: Sequence[Any]) -> list[NDArray[np.float32]]:
            write = self._wording.infer(np.asarray(part), model, version)
            return list(logits(await self._answer(write), len(part)))

        size = await self._size(model, version) if len(rows) > 1 else 1
        found = await in_parts(rows, size, self._parallel, self._shrinking(ask, model, version))
        return np.stack(found)

    async def models(self) -> list[ModelSummary]:
        """Every model of the service."""
        return read_answer(await self._answer(self._wording.described(None)), ModelList).models

    async def model(self, name: str) -> ModelDetail:
        """One model, with its classes and how its images are prepared."""
        return read_answer(await self._answer(self._wording.described(name)), ModelDetail)

    async def ready(self) -> bool:
        """True where the service lets requests in. Asked once: False where nobody answers, too."""
        try:
            check(await self._answer(self._wording.get("/readyz"), self._once))
        except (Unreachable, OutOfPatience):
            return False
        except Rejected as refusal:
            if refusal.status != 503:
                raise
            return False
        return True

    async def _classify(
        self, pictures: Sequence[Picture], top: int, model: str | None, version: int | None
    ) -> list[Classified]:
        images = [picture for picture in pictures if isinstance(picture, bytes)]
        if len(images) < len(pictures):  # files are read, and arrays compressed
            images = await asyncio.to_thread(lambda: [encoded(picture) for picture in pictures])
        write = self._wording.classify(images, top, model, version)
        return classified(await self._answer(write), len(images))

    async def _size(self, model: str | None, version: int | None) -> int:
        known = self._sizes.get(model, version)
        if known is not None:
            return known
        found = [await self.model(model)] if model else [each for each in await self.models() if each.default]
        versions = [each for one in found for each in one.versions if version in {None, each.version}]
        return self._sizes.learn(model, version, versions)

    def _shrinking(
        self, ask: Callable[[Sequence[Any]], Awaitable[list[T]]], model: str | None, version: int | None
    ) -> Callable[[Sequence[Any]], Awaitable[list[T]]]:
        """Ask for a part; where the service takes no part so large, for its halves, and remember that."""

        async def whole_or_halves(part: Sequence[Any]) -> list[T]:
            try:
                return await ask(part)
            except Rejected as refusal:
                if len(part) == 1 or not self._sizes.too_large(refusal):
                    raise
            half = (len(part) + 1) // 2
            self._sizes.shrink(model, version, half)
            return [*await whole_or_halves(part[:half]), *await whole_or_halves(part[half:])]

        return whole_or_halves

    async def _answer(self, write: Write, manners: Manners | None = None) -> Reply:
        """The last reply to one request, waiting for its turn included."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._patience_s) as turn, self._slots:
                turn.reschedule(None)  # the talk keeps to it from here on
                spent_s = time.monotonic() - began
                return await self._carry_out(talk(write, self._patience_s, manners or self._manners, spent_s))
        except TimeoutError:
            raise OutOfPatience(
                f"{self._wording.base}: all {self._parallel} connections were busy for {self._patience_s:g} s. "
                "Have more patience, or let more requests go in parallel."
            ) from None

    async def _carry_out(self, steps: Talk) -> Reply:
        outcome: Reply | Lost | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                reply: Reply = end.value
                return reply
            if isinstance(step, Pause):
                log.info("%s: %s; asked again in %.2f s", self._wording.base, step.why, step.seconds)
                await asyncio.sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step)

    async def _send(self, step: Send) -> Reply | Lost:
        message = step.message
        try:
            async with asyncio.timeout(step.seconds):
                answer = await self._http.request(
                    message.method, message.url, content=message.content, headers=dict(message.headers)
                )
        except TimeoutError:
            return Lost(f"no answer within {step.seconds:.3g} s", late=True)
        except (httpx.TransportError, httpx.DecodingError) as error:
            return Lost(str(error) or type(error).__name__, lasting=_will_last(error))
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(message.place, answer.status_code, headers, answer.content)


def _will_last(error: BaseException | None) -> bool:
    """True for a certificate that is not trusted, and an address that httpx cannot ask."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            return True
        error = error.__cause__ or error.__context__
    return False
