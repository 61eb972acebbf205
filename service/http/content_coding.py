"""Compressed request bodies: inflated step by step, never beyond the limit of a body that came plain."""

import asyncio
import zlib

from service.config import Limits
from service.errors import BodyTooLarge, MediaTypeError, RequestError
from service.http.buffers import Share

_STEP_BYTES = 2**20  # inflated at once, between two looks at the limits
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's `wbits`; HTTP's deflate wears zlib's header


def check_coding(coding: str) -> str:
    """The Content-Encoding in lower case. Raises MediaTypeError for one that is not taken."""
    name = coding.strip().lower() or "identity"
    if name != "identity" and name not in _WINDOWS:
        raise MediaTypeError(f"Content-Encoding {name[:40]!r} is not taken; send gzip, deflate or none")
    return name


async def inflate(body: bytes, coding: str, limits: Limits, share: Share) -> bytes:
    """The body without its coding, as `check_coding` gave it. Each step runs in a thread and is counted.

    Raises BodyTooLarge, Overloaded, RequestError for what is damaged, cut short or followed by anything.
    """
    if coding == "identity":
        return body
    engine = zlib.decompressobj(_WINDOWS[coding])
    parts: list[bytes] = []
    total, rest = 0, body
    while not engine.eof:
        part = await asyncio.to_thread(_step, engine, rest, coding)
        rest = engine.unconsumed_tail
        total += len(part)
        if total > limits.body_bytes:
            raise BodyTooLarge(f"the inflated body is larger than the {limits.body_bytes:,} bytes that are taken")
        if not part and not rest and not engine.eof:
            raise RequestError(f"the {coding} body is cut short")
        share.take(len(part))
        parts.append(part)
    if engine.unused_data:
        raise RequestError(f"{len(engine.unused_data)} bytes follow the {coding} body; send one compressed stream")
    if len(parts) == 1:
        return parts[0]
    share.take(total)  # while they are joined they are there twice
    inflated = b"".join(parts)
    parts.clear()
    share.give(total)
    return inflated


def _step(engine: "zlib._Decompress", data: bytes, coding: str) -> bytes:
    try:
        return engine.decompress(data, _STEP_BYTES)
    except zlib.error as error:
        raise RequestError(f"the body is no {coding} ({error})") from None
