"""Hostile requests without end: damaged images and damaged inference requests, the same ones for the same seed."""

import base64
import gzip
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from PIL import Image

from tests.support.images import encoded, noise

_EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\xff\xff", b"\x80\0\0\0")


@dataclass(frozen=True, slots=True)
class Hostile:
    """A request to be posted."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def images(seed: int) -> Iterator[Hostile]:
    """Damaged images of every format, raw, in multipart and in JSON."""
    rng = random.Random(seed)
    sound = _sound_images()
    while True:
        data = _damaged(rng, rng.choice(sound), sound)
        yield rng.choice((_raw, _raw, _multipart, _json))(rng, data)


def inferences(seed: int) -> Iterator[Hostile]:
    """Damaged inference requests for a model of (8, 8, 3) images."""
    rng = random.Random(seed)
    makers: tuple[Callable[[random.Random], Hostile], ...] = (
        _odd_head,
        _odd_head,
        _odd_binary,
        _odd_strings,
        _odd_bytes,
    )
    while True:
        request = rng.choice(makers)(rng)
        yield _odd_coding(rng, request) if rng.random() < 0.2 else request


def _sound_images() -> list[bytes]:
    picture = noise(24)
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (picture, "JPEG", {}),
        (picture, "JPEG", {"progressive": True, "exif": _exif()}),
        (picture.convert("CMYK"), "JPEG", {}),
        (picture, "PNG", {"exif": _exif()}),
        (picture.convert("P"), "PNG", {"transparency": 3}),
        (picture.convert("LA"), "PNG", {}),
        (picture.convert("I;16"), "PNG", {}),
        (picture, "GIF", {"save_all": True, "append_images": [noise(24, 1)]}),
        (picture, "WEBP", {"lossless": True}),
        (picture, "WEBP", {"save_all": True, "append_images": [noise(24, 1)], "exif": _exif()}),
        (picture, "AVIF", {"exif": _exif()}),
        (picture.convert("RGBA"), "AVIF", {"save_all": True, "append_images": [noise(24, 1).convert("RGBA")]}),
        (picture, "BMP", {}),
        (picture.convert("P"), "BMP", {}),
        *(
            (picture, "TIFF", {"compression": name})
            for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        ),
    ]
    return [encoded(image, kind, **options) for image, kind, options in kinds]


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _damaged(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(damaged) + 1)
        if rng.random() < 0.4:
            start = rng.randrange(min(64, len(damaged)) + 1)  # heads are where the numbers are
        end = min(len(damaged), start + rng.randint(1, 40))
        match rng.randrange(7):
            case 0:
                del damaged[start:]
            case 1:
                del damaged[start:end]
            case 2:
                damaged[start:end] = rng.randbytes(end - start)
            case 3:
                damaged[start : start + 4] = rng.choice(_EXTREMES)
            case 4:
                damaged[start:start] = damaged[start:end] * rng.randint(1, 50)
            case 5:
                damaged[start:] = rng.choice(others)[start:]
            case _:
                damaged += rng.randbytes(rng.randint(1, 200))
    return bytes(damaged)


def _raw(rng: random.Random, data: bytes) -> Hostile:
    return Hostile(data, {"Content-Type": rng.choice(("image/png", "application/octet-stream", "image/jpeg"))})


def _multipart(rng: random.Random, data: bytes) -> Hostile:
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="x"\r\n\r\n' + data
    body = part + (b"\r\n" + part) * rng.randrange(3) + rng.choice((b"\r\n--b--\r\n", b"", b"\r\n--b", b"\r\n--b--"))
    return Hostile(body, {"Content-Type": "multipart/form-data; boundary=b"})


def _json(rng: random.Random, data: bytes) -> Hostile:
    text = base64.b64encode(data).decode()
    odd = (text, text[:-1], [text], None, 1, {"b64": text}, text + "\n", "")
    body: Any = {"images": [rng.choice(odd) for _ in range(rng.randint(0, 3))]}
    if rng.random() < 0.2:
        body[rng.choice(("image", "top_k", "__proto__", ""))] = text
    return Hostile(json.dumps(body).encode(), {"Content-Type": "application/json"})


_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 2**64, 10**400, 1.5, float("nan"), float("inf"), "", "x" * 300, "\ud800",
    [], {},
    [[]], [None], {"a": {}}, [-1, 8, 8, 3], [2**62, 4, 4, 4], [1, 8, 8, 3, 1, 1, 1, 1, 1, 1], [0, 8, 8, 3],
    [3, 8, 8, 1],
    ["1", 8, 8, 3], [1e30, 8, 8, 3], [[0] * 8] * 3, [0.5] * 192, [-1] * 192, [256] * 192, [10**30] * 192, ["1"] * 192,
)  # fmt: skip


def _head(**changes: Any) -> dict[str, Any]:
    tensor = {"name": "images", "shape": [1, 8, 8, 3], "datatype": "UINT8", "data": [7] * 192}
    return {"id": "1", "inputs": [tensor | changes.pop("tensor", {})], "outputs": [{"name": "logits"}]} | changes


def _odd_head(rng: random.Random) -> Hostile:
    """JSON alone, with one to three values that do not belong there."""
    head = _head()
    for _ in range(rng.randint(1, 3)):
        place: Any = rng.choice(
            [head, head["inputs"][0] if isinstance(head.get("inputs"), list) and head["inputs"] else head]
        )
        if isinstance(place, dict):
            names = [*place, "parameters", "unknown", "priority", "timeout", "classification"]
            place[rng.choice(names)] = rng.choice(_ODD)
        if rng.random() < 0.3:
            names = ["priority", "timeout", "classification", "binary_data_size", "binary_data", "binary_data_output"]
            head["parameters"] = {rng.choice(names): rng.choice(_ODD)}
    text = json.dumps(head).encode()
    if rng.random() < 0.2:
        text = text[: rng.randrange(len(text))]
    return Hostile(text)


def _odd_binary(rng: random.Random) -> Hostile:
    """Pixels behind the head, of another size than was said."""
    declared = rng.choice((192, 191, 193, 0, 384, 2**31, 2**63, 2**64, -1, 1.5, "192", None))
    shape = rng.choice(
        ([1, 8, 8, 3], [2, 8, 8, 3], [2**40, 8, 8, 3], [2**62, 2**62, 8, 3], [0, 8, 8, 3], [-1, 8, 8, 3], [192])
    )
    kind = rng.choice(("UINT8", "UINT8", "FP32", "BYTES", "BOOL", "INT64", "", "uint8"))
    tensor = {"shape": shape, "datatype": kind, "parameters": {"binary_data_size": declared}}
    head = _head(tensor=tensor)
    if rng.random() < 0.9:
        del head["inputs"][0]["data"]
    return _joined(rng, head, bytes(rng.choice((192, 192, 0, 1, 191, 193, 384))))


def _odd_strings(rng: random.Random) -> Hostile:
    """Encoded images with lengths in front that lie: too long, too short, of the other endianness."""
    data = encoded(noise(8))
    length = rng.choice((len(data), len(data) - 1, len(data) + 1, 0, 2**31, 2**32 - 1))
    tail = struct.pack(rng.choice("<>") + "I", length) + data
    tail = tail * rng.randint(1, 3) + rng.choice((b"", b"\0", b"\0\0\0\0", b"\xff\xff\xff\xff"))
    shape = rng.choice(([1], [2], [3], [1, 1], [0], [2**40], [-1], []))
    tensor = {"name": "image_bytes", "shape": shape, "datatype": "BYTES", "parameters": {"binary_data_size": len(tail)}}
    head = _head(tensor=tensor)
    del head["inputs"][0]["data"]
    return _joined(rng, head, tail[: rng.randint(0, len(tail))] if rng.random() < 0.3 else tail)


def _odd_bytes(rng: random.Random) -> Hostile:
    """No JSON, or no UTF-8, or far too deep."""
    deep = rng.randint(100, 20_000)
    body = rng.choice(
        (
            rng.randbytes(rng.randint(0, 300)),
            b"[" * deep,
            b'{"a":' * deep,
            b'{"inputs": "\xff"}',
            b"\xef\xbb\xbf{}",
            b"null",
            b"",
            b'""',
        )
    )
    headers = (
        {"Inference-Header-Content-Length": rng.choice(("0", "1", "-1", "x", "9" * 30, ""))}
        if rng.random() < 0.5
        else {}
    )
    return Hostile(body, headers)


def _joined(rng: random.Random, head: dict[str, Any], tail: bytes) -> Hostile:
    text = json.dumps(head).encode()
    length = rng.choice((len(text),) * 6 + (len(text) - 1, len(text) + 1, 0, 2**40))
    return Hostile(text + tail, {"Inference-Header-Content-Length": str(length)})


@cache
def _bomb() -> bytes:
    return zlib.compress(bytes(40_000_000))


def _odd_coding(rng: random.Random, request: Hostile) -> Hostile:
    """The body compressed, cut, followed by something, or a bomb; or not what its Content-Encoding says."""
    packed = rng.choice((gzip.compress(request.body), zlib.compress(request.body)))
    body = rng.choice((packed, packed[:-3], packed + b"more", packed * 2, request.body, _bomb()))
    return Hostile(
        body, request.headers | {"Content-Encoding": rng.choice(("gzip", "deflate", "br", "identity", "gzip, gzip"))}
    )
