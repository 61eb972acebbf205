"""Many images become requests of the size that a service takes, a few of them on their way at once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from numpy.typing import NDArray

from service.answers import VersionSummary
from service.client.errors import Rejected

_USUAL = 64  # images in one request, where the service's operator says nothing else
_REFUSED = {"too_many_images", "body_too_large"}
T = TypeVar("T")


class KnownSizes:
    """How many images of one request each version takes, as far as it is known."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | None, int | None], int] = {}

    def get(self, model: str | None, version: int | None) -> int | None:
        """None where it is not known."""
        return self._known.get((model, version))

    def learn(self, model: str | None, version: int | None, described: Sequence[VersionSummary]) -> int:
        """From what the service says of the versions that may answer; 1 where it says nothing, to be told why."""
        sizes = [one.policy.max_size for one in described if one.policy is not None]
        if not sizes:
            return 1
        self._known[model, version] = min(_USUAL, *sizes)
        return self._known[model, version]

    def shrink(self, model: str | None, version: int | None, size: int) -> None:
        """It takes no more than this."""
        self._known[model, version] = min(size, self._known.get((model, version), size))

    @staticmethod
    def too_large(refusal: Rejected) -> bool:
        """True for a refusal that smaller requests would not meet. The Open Inference Protocol knows no codes."""
        return refusal.code in _REFUSED or (not refusal.code and "Split the request." in str(refusal))


async def in_parts(
    whole: Sequence[Any] | NDArray[Any], size: int, parallel: int, ask: Callable[[Any], Awaitable[list[T]]]
) -> list[T]:
    """The answers to all, in order; asked in parts, so many of them at once. The first error ends the others."""
    starts = iter(range(0, len(whole), size))
    answers: dict[int, list[T]] = {}

    async def work(starts: Iterator[int]) -> None:
        for start in starts:
            answers[start] = await ask(whole[start : start + size])

    workers = [asyncio.ensure_future(work(starts)) for _ in range(min(parallel, -(-len(whole) // size)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [answer for _, part in sorted(answers.items()) for answer in part]
