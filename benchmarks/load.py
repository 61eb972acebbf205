"""A closed-loop HTTP load: N callers, each sends its next request when the last one is answered.

As thin as it can be in Python (sockets and a search for the end of the headers), so that it takes little of the CPU
that the service under test needs.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What a run saw. latencies: seconds of each answered request; failed: answers other than 200."""

    seconds: float
    latencies: tuple[float, ...]
    failed: int

    @property
    def throughput(self) -> float:
        """Answered requests a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Latency in milliseconds that this share of the requests stayed within."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def run(
    url: str, bodies: Sequence[bytes], callers: int, seconds: float, headers: Sequence[dict[str, str]] = ()
) -> Load:
    """Post the bodies in turn to one address for so many seconds. headers: those of each body; default: PNG."""
    return asyncio.run(_run(url, _requests(url, bodies, headers), callers, seconds))


def _requests(url: str, bodies: Sequence[bytes], headers: Sequence[dict[str, str]]) -> list[bytes]:
    parts, made = urlsplit(url), []
    for body, own in zip(bodies, headers or [{"Content-Type": "image/png"}] * len(bodies), strict=True):
        lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in own.items()]
        made.append("\r\n".join([*lines, "", ""]).encode() + body)
    return made


async def _run(url: str, requests: list[bytes], callers: int, seconds: float) -> Load:
    parts = urlsplit(url)
    started = time.perf_counter()
    jobs = (_caller(parts.hostname or "", parts.port or 80, requests, n, started + seconds) for n in range(callers))
    outcomes = await asyncio.gather(*jobs)
    took = time.perf_counter() - started
    latencies = tuple(latency for caller, _ in outcomes for latency in caller)
    return Load(took, latencies, sum(failed for _, failed in outcomes))


async def _caller(host: str, port: int, requests: list[bytes], number: int, end: float) -> tuple[list[float], int]:
    reader, writer = await asyncio.open_connection(host, port)
    latencies, failed, turn = [], 0, number
    while (began := time.perf_counter()) < end:
        writer.write(requests[turn % len(requests)])
        ok = await _read_answer(reader)
        if ok:
            latencies.append(time.perf_counter() - began)
        failed += not ok
        turn += 1
    writer.close()
    return latencies, failed


async def _read_answer(reader: asyncio.StreamReader) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"\r\ncontent-length:" in head:
        length = head.split(b"\r\ncontent-length:", 1)[1].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))
    else:  # in chunks, the last of them empty
        while size := int(await reader.readuntil(b"\r\n"), 16):
            await reader.readexactly(size + 2)
        await reader.readexactly(2)
    return head.startswith(b"http/1.1 200")
