"""Images as whole HTTP requests, in every form that a service may want them."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from service.load.pictures import Picture
from service.load.plan import Address, LoadError

_BOUNDARY = "an-image-of-a-load"
_LENGTH = "Inference-Header-Content-Length"
_NUMBERS = {"UINT8": np.uint8, "FP32": np.float32, "FP16": np.float16}


class Body(StrEnum):
    """The forms. The last three are those of the Open Inference Protocol, so Triton takes them too."""

    raw = "raw"
    multipart = "multipart"
    json = "json"
    tensor = "tensor"
    tensor_json = "tensor-json"
    encoded = "encoded"

    @property
    def infers(self) -> bool:
        """Does it speak the Open Inference Protocol?"""
        return self in {Body.tensor, Body.tensor_json, Body.encoded}


@dataclass(frozen=True, slots=True)
class Input:
    """What a model of the Open Inference Protocol says that it wants. shape: with the batch in front."""

    name: str
    datatype: str
    shape: tuple[int, ...]


_Made = tuple[dict[str, str], bytes]  # headers and content


def write_requests(
    address: Address,
    pictures: Sequence[Picture],
    body: Body,
    *,
    each: int = 1,
    wanted: Input | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[bytes, ...]:
    """One request for every picture: with it, and `each` - 1 of those that follow it. Raises LoadError."""
    if body is Body.raw and each != 1:
        raise LoadError(
            "a raw body is one image. Give --body multipart, json, tensor or encoded for more in a request."
        )
    turns = [[pictures[(first + more) % len(pictures)] for more in range(each)] for first in range(len(pictures))]
    return tuple(_request(address, headers or {}, *_write(body, some, wanted)) for some in turns)


def _request(address: Address, given: Mapping[str, str], own: Mapping[str, str], content: bytes) -> bytes:
    host = address.origin.partition("://")[2]
    lines = [f"POST {address.path or '/'} HTTP/1.1", f"Host: {host}", "User-Agent: harmonic-load", "Accept: */*"]
    lines += [f"{name}: {value}" for name, value in {**given, **own}.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content


def _write(body: Body, pictures: Sequence[Picture], wanted: Input | None) -> _Made:
    plain: dict[Body, Callable[[Sequence[Picture]], _Made]] = {
        Body.raw: _raw,
        Body.multipart: _multipart,
        Body.json: _json,
    }
    if body in plain:
        return plain[body](pictures)
    if wanted is None:
        raise LoadError(f"--body {body} has to know what the model wants, and the service did not say.")
    if body is Body.encoded:
        return _binary(wanted, *_encoded(pictures, wanted))
    array = _array(pictures, wanted)
    return _numbers(array, wanted) if body is Body.tensor_json else _binary(wanted, array.shape, array.tobytes())


def _raw(pictures: Sequence[Picture]) -> _Made:
    return {"Content-Type": pictures[0].kind}, pictures[0].content


def _multipart(pictures: Sequence[Picture]) -> _Made:
    parts = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n'
        f"Content-Type: {picture.kind}\r\n\r\n".encode()
        + picture.content
        + b"\r\n"
        for picture in pictures
    )
    content = b"".join(chain(parts, [f"--{_BOUNDARY}--\r\n".encode()]))
    return {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}, content


def _json(pictures: Sequence[Picture]) -> _Made:
    images = [base64.b64encode(picture.content).decode() for picture in pictures]
    return {"Content-Type": "application/json"}, json.dumps({"images": images}).encode()


def _encoded(pictures: Sequence[Picture], wanted: Input) -> tuple[tuple[int, ...], bytes]:
    if wanted.datatype != "BYTES":
        raise LoadError(f"the model's input {wanted.name!r} is {wanted.datatype}, no files. Give --body tensor.")
    content = b"".join(len(picture.content).to_bytes(4, "little") + picture.content for picture in pictures)
    return (len(pictures), *(1 for _ in wanted.shape[1:])), content


def _array(pictures: Sequence[Picture], wanted: Input) -> NDArray[np.generic]:
    """(images, height, width, 3), or channels first where the model has them so."""
    planes = wanted.shape[1:]
    if wanted.datatype not in _NUMBERS or len(planes) != 3 or 3 not in (planes[0], planes[2]):
        raise LoadError(
            f"the model's input {wanted.name!r} is {wanted.datatype} {list(wanted.shape)}; --body tensor sends "
            "pixels of three colours. Give --body encoded or raw."
        )
    first = planes[2] != 3
    height, width = planes[1:] if first else planes[:2]
    if height < 1 or width < 1:
        raise LoadError(
            f"the model's input {wanted.name!r} has no size: {list(wanted.shape)}. Give --body encoded or raw."
        )
    array = np.stack([picture.pixels(width, height) for picture in pictures])
    turned = array.transpose(0, 3, 1, 2) if first else array
    return np.ascontiguousarray(turned, _NUMBERS[wanted.datatype])


def _tensor(wanted: Input, shape: Sequence[int]) -> dict[str, object]:
    return {"name": wanted.name, "datatype": wanted.datatype, "shape": list(shape)}


def _numbers(array: NDArray[np.generic], wanted: Input) -> _Made:
    tensor = {**_tensor(wanted, array.shape), "data": array.ravel().tolist()}
    return {"Content-Type": "application/json"}, json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()


def _binary(wanted: Input, shape: Sequence[int], data: bytes) -> _Made:
    tensor = {**_tensor(wanted, shape), "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return {"Content-Type": "application/octet-stream", _LENGTH: str(len(head))}, head + data
