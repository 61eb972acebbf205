"""From a request's body to encoded images: raw, multipart or JSON, never more bytes than allowed.

Knows HTTP's body kinds; decodes no image.
"""

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from harmonic.errors import sentence
from service.config import Limits
from service.errors import BodyTooLarge, BodyTooSlow, MediaTypeError, RequestError, TooManyImages
from service.http.buffers import Share
from service.http.cycle import incoming_of

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_INLINE_BYTES = 64 * 1024  # larger multipart and JSON bodies are parsed in a thread, so that the loop never computes
_HEADER_BYTES = 4096  # of one part
# The last is what curl says when told nothing.
_RAW = {"", "application/octet-stream", "application/x-www-form-urlencoded"}


class _Images(BaseModel):
    model_config = ConfigDict(extra="forbid")

    images: list[str] = Field(min_length=1)


async def read_images(request: Request, limits: Limits, share: Share) -> list[bytes]:
    """The encoded images of a request, at least one.

    Raises BodyTooLarge, BodyTooSlow, Overloaded, MediaTypeError, TooManyImages, RequestError.
    """
    kind, boundary = _media_type(request)
    body = await read_body(request, limits, share)
    if not body:
        raise RequestError("the body is empty; send an image, multipart parts named 'image', or JSON")
    if kind in _RAW or kind.startswith("image/"):
        return [body]
    copies = 2 * len(body)  # parts as they come and as they are kept, or JSON's text and what it stands for
    share.take(copies)
    if len(body) <= _INLINE_BYTES:
        images = _split(kind, boundary, body, limits)
    else:
        images = await asyncio.to_thread(_split, kind, boundary, body, limits)
    share.give(copies + len(body) - sum(map(len, images)))
    return images


def _media_type(request: Request) -> tuple[str, bytes]:
    coding = _header(request, b"content-encoding", "identity").lower()
    if coding != "identity":
        raise MediaTypeError(
            f"Content-Encoding {coding[:40]!r} is not taken; images are compressed already, send them as they are"
        )
    header = _header(request, b"content-type", "")
    kind, options = header.strip(" \t").lower(), dict[bytes, bytes]()
    if ";" in header:
        raw, options = parse_options_header(header)
        kind = raw.decode("latin-1").lower()
    if kind == "multipart/form-data":
        boundary = options.get(b"boundary", b"")
        if not 1 <= len(boundary) <= 256:
            raise RequestError("the multipart body names no boundary in its Content-Type")
        return kind, boundary
    if kind in _RAW or kind == "application/json" or kind.startswith("image/"):
        return kind, b""
    raise MediaTypeError(
        f"Content-Type {kind[:80]!r} is not taken; "
        "send image/*, application/octet-stream, multipart/form-data or application/json"
    )


def _header(request: Request, wanted: bytes, default: str) -> str:
    """One header, without a mapping of all: most requests have few."""
    for name, value in request.scope["headers"]:
        if name == wanted:
            return bytes(value).decode("latin-1")
    return default


async def read_body(request: Request, limits: Limits, share: Share) -> bytes:
    """The whole body, counted as it comes; a Content-Length beyond the limit is refused before any byte.

    Raises BodyTooLarge, BodyTooSlow, Overloaded.
    """
    incoming = incoming_of(request.scope)
    if incoming is not None and (body := incoming.whole()) is not None:
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
        share.take(len(body))
        return body
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.body_bytes:
        raise _too_large(limits)
    chunks: list[bytes] = []
    total = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for chunk in request.stream():
                total += len(chunk)
                if total > limits.body_bytes:
                    raise _too_large(limits)
                if chunk:
                    share.take(len(chunk))
                    chunks.append(chunk)
    except TimeoutError:
        raise BodyTooSlow(f"the body did not arrive within {limits.body_seconds:g} s") from None
    if len(chunks) == 1:
        return chunks[0]
    share.take(total)  # while they are joined they are there twice
    body = b"".join(chunks)
    chunks.clear()
    share.give(total)
    return body


def _too_large(limits: Limits) -> BodyTooLarge:
    return BodyTooLarge(f"the body is larger than the {limits.body_bytes:,} bytes that are taken")


def _split(kind: str, boundary: bytes, body: bytes, limits: Limits) -> list[bytes]:
    images = _from_json(body, limits) if kind == "application/json" else _from_parts(body, boundary, limits)
    if not images:
        raise RequestError("the multipart body has no part named 'image'")
    if len(images) > limits.images:
        raise TooManyImages(f"more than the {limits.images} images that one request may bring. Split the request.")
    return images


def _from_json(body: bytes, limits: Limits) -> list[bytes]:
    if body.count(b",") >= 2 * limits.images:  # base64 has none: told before millions of strings are built
        raise TooManyImages(f"more than the {limits.images} images that one request may bring. Split the request.")
    try:
        texts = _Images.model_validate_json(body).images
    except ValidationError as error:
        what = sentence(error, "the body")
        raise RequestError(f'{what}; JSON bodies look like {{"images": ["<base64>", ...]}}') from None
    return [_from_base64(index, text) for index, text in enumerate(texts)]


def _from_base64(index: int, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"images.{index}: is no base64 ({error})") from None


def _from_parts(body: bytes, boundary: bytes, limits: Limits) -> list[bytes]:
    parts = _Parts(limits.images)
    parser = MultipartParser(boundary, parts.callbacks())
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(f"the multipart body is damaged: {error}") from None
    if not parts.ended:
        raise RequestError("the multipart body is cut short: its closing boundary is missing")
    return parts.images


class _Parts:
    """Collects the parts named `image`; any other is refused, so that a misspelt name is not silently ignored."""

    def __init__(self, most: int) -> None:
        self.images: list[bytes] = []
        self.ended = False
        self._most = most
        self._header = bytearray()
        self._value = bytearray()
        self._name: bytes | None = None
        self._data: list[bytes] = []

    def callbacks(self) -> "MultipartCallbacks":
        """What python-multipart calls, by name."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.images) >= self._most:
            raise TooManyImages(f"more than the {self._most} images that one request may bring. Split the request.")
        self._name, self._data = None, []

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._grow(self._header, data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._grow(self._value, data[start:end])

    def _grow(self, text: bytearray, more: bytes) -> None:
        text += more
        if len(text) > _HEADER_BYTES:
            raise RequestError(f"a multipart header is longer than {_HEADER_BYTES} bytes")

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._name = parse_options_header(bytes(self._value))[1].get(b"name")
        self._header.clear()
        self._value.clear()

    def _headers_finished(self) -> None:
        if self._name != b"image":
            found = (self._name or b"").decode("utf-8", "replace")[:40]
            raise RequestError(f"a multipart part is named {found!r}; name every part 'image'")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _part_end(self) -> None:
        self.images.append(b"".join(self._data))

    def _end(self) -> None:
        self.ended = True
