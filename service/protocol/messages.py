"""The Open Inference Protocol's inference request and response: JSON, and binary tensors behind it.

Knows the protocol (version 2, with Triton's extensions for binary tensors, classification and scheduling), not HTTP
frameworks and not how a model is run. What it does not know in a request it passes over, as the protocol wants.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError
from pydantic_core import to_json as dump_json

from export.manifest import Manifest
from harmonic.errors import sentence
from service.errors import RequestError, too_many
from service.protocol import numerals, tensors

ENCODED = "image_bytes"  # the input that stands for the model's own: images as files, which the server decodes
LOGITS = "FP32"
BYTES = "BYTES"
_DATATYPES = {"uint8": "UINT8", "float32": "FP32"}
_Size = Annotated[StrictInt, Field(ge=0, lt=2**63)]
_MOST_INPUTS = 16
_SMALL = 64 * 1024  # bytes of JSON that are parsed as they are


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _InputParameters(_Lenient):
    binary_data_size: _Size | None = None
    shared_memory_region: object = None


class _OutputParameters(_Lenient):
    binary_data: StrictBool | None = None
    classification: _Size = 0
    shared_memory_region: object = None


class _RequestParameters(_Lenient):
    binary_data_output: StrictBool = False
    priority: _Size = 0
    timeout: _Size = 0


class _Input(_Lenient):
    name: StrictStr
    shape: list[_Size] = Field(max_length=tensors.MOST_DIMENSIONS)
    datatype: StrictStr
    parameters: _InputParameters = _InputParameters()
    data: Any = None


class _Output(_Lenient):
    name: StrictStr
    parameters: _OutputParameters = _OutputParameters()


class _Head(_Lenient):
    id: StrictStr | None = None
    parameters: _RequestParameters = _RequestParameters()
    inputs: list[_Input] = Field(min_length=1, max_length=_MOST_INPUTS)
    outputs: list[_Output] = Field(default=[], max_length=_MOST_INPUTS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the output is wanted. classes: how many of the likeliest, as text; 0 for the logits themselves."""

    binary: bool
    classes: int = 0


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """What a request asks for.

    images: rows of the model's input, as its manifest has them, or encoded images. priority: 0 for the default.
    timeout_s: None for none.
    """

    images: "NDArray[Any] | list[bytes]"
    wanted: Wanted
    id: str | None = None
    priority: int = 0
    timeout_s: float | None = None


def read_request(body: bytes, head_bytes: int | None, manifest: Manifest, most: int) -> InferenceRequest:
    """Read an inference request.

    head_bytes: how many bytes of the body are JSON; None for all of them; 0 for a body that is one image's pixels and
    nothing else. most: images that one request may bring. Raises RequestError, TooManyImages.
    """
    if head_bytes == 0:
        shape = (1, *manifest.pixels.shape)
        return InferenceRequest(_numbers(manifest, memoryview(body), None, shape), Wanted(True))
    if head_bytes is not None and head_bytes > len(body):
        raise RequestError(f"the head is said to have {head_bytes} bytes and the whole body has {len(body)}")
    json, digits = body if head_bytes is None else body[:head_bytes], None
    if len(json) > _SMALL:
        json, digits = numerals.cut_out(json)
    head = _parse(json)
    tail = memoryview(body)[len(body) if head_bytes is None else head_bytes :]
    return InferenceRequest(
        images=_images(head.inputs, tail, digits, manifest, most),
        wanted=_wanted(head, manifest),
        id=head.id,
        priority=head.parameters.priority,
        timeout_s=head.parameters.timeout / 1e6 if head.parameters.timeout else None,
    )


def write_response(
    request: InferenceRequest, name: str, version: int, manifest: Manifest, logits: NDArray[np.float32]
) -> tuple[bytes, int | None]:
    """The body of an answer, and how many bytes of it are JSON where binary data follow, else None."""
    array, kind = _shaped(request.wanted, manifest, logits)
    output: dict[str, Any] = {"name": manifest.output, "datatype": kind, "shape": list(array.shape)}
    head: dict[str, Any] = {"model_name": name, "model_version": str(version), "outputs": [output]}
    if request.id is not None:
        head["id"] = request.id
    if not request.wanted.binary:
        output["data"] = tensors.to_json(array)
        return dump_json(head), None
    tail = tensors.to_bytes(array)
    output["parameters"] = {"binary_data_size": len(tail)}
    json = dump_json(head)
    return json + tail, len(json)


def datatype(manifest: Manifest) -> str:
    """The protocol's name for the elements of the model's input."""
    return _DATATYPES[manifest.pixels.dtype.name]


def memory_of_json(head: bytes) -> int:
    """Bytes that parsed JSON takes at most beyond its own length: small containers cost far more than their text."""
    return 40 * head.count(b",") + 240 * head.count(b"{") + 100 * head.count(b"[") + 60 * head.count(b'"')


def _parse(head: bytes) -> _Head:
    try:
        return _Head.model_validate_json(head)
    except ValidationError as error:
        raise RequestError(sentence(error, "the request")) from None


def _images(
    inputs: list[_Input], tail: memoryview, digits: bytes | None, manifest: Manifest, most: int
) -> "NDArray[Any] | list[bytes]":
    given = list(_with_bytes(inputs, tail))
    if len(given) != 1:
        raise RequestError(f"{len(given)} inputs; the model has one, {manifest.input!r} (or {ENCODED!r} in its place)")
    tensor, binary = given[0]
    if tensor.name == manifest.input:
        return _pixels(tensor, binary, digits, manifest, most)
    if tensor.name == ENCODED:
        return _encoded(tensor, binary, most)
    raise RequestError(f"unexpected input {tensor.name[:100]!r}; the model takes {manifest.input!r} or {ENCODED!r}")


def _with_bytes(inputs: list[_Input], tail: memoryview) -> Iterator[tuple[_Input, memoryview | None]]:
    """Every input with its share of the binary data, which lie in the order of the inputs and leave nothing over."""
    position = 0
    for tensor in inputs:
        if tensor.parameters.shared_memory_region is not None:
            raise RequestError("shared memory is not taken; send the tensor in the body")
        size = tensor.parameters.binary_data_size
        if size is None:
            yield tensor, None
            continue
        if tensor.data is not None:
            raise RequestError(f"input {tensor.name[:100]!r} has both data and binary_data_size; send one of them")
        if size > len(tail) - position:
            raise RequestError(
                f"input {tensor.name[:100]!r}: binary_data_size is {size} and {len(tail) - position} bytes are left"
            )
        yield tensor, tail[position : position + size]
        position += size
    if position != len(tail):
        raise RequestError(f"{len(tail) - position} bytes are left over after the binary data of all inputs")


def _pixels(
    tensor: _Input, binary: memoryview | None, digits: bytes | None, manifest: Manifest, most: int
) -> NDArray[Any]:
    _check_datatype(tensor, datatype(manifest))
    if len(tensor.shape) != 4 or tuple(tensor.shape[1:]) != manifest.pixels.shape or tensor.shape[0] < 1:
        wanted = [-1, *manifest.pixels.shape]
        raise RequestError(f"unexpected shape {tensor.shape} for input {tensor.name!r}; the model expects {wanted}")
    if tensor.shape[0] > most:
        raise too_many(tensor.shape[0], most)
    data = tensor.data
    if digits is not None and data is numerals.PLACE:
        data = numerals.read_numbers(manifest.input, digits, tensor.shape, manifest.pixels.dtype == np.uint8)
    return _numbers(manifest, binary, data, tensor.shape)


def _numbers(manifest: Manifest, binary: memoryview | None, data: object, shape: Sequence[int]) -> NDArray[Any]:
    if binary is None:
        return tensors.numbers_from_json(manifest.input, data, shape, manifest.pixels.dtype)
    return tensors.numbers_from_bytes(manifest.input, binary, shape, manifest.pixels.dtype)


def _encoded(tensor: _Input, binary: memoryview | None, most: int) -> list[bytes]:
    _check_datatype(tensor, BYTES)
    if tensor.shape not in ([side := tensor.shape[0] if tensor.shape else 0], [side, 1]) or side < 1:
        raise RequestError(f"unexpected shape {tensor.shape} for input {ENCODED!r}; it wants [-1], at least one image")
    if side > most:
        raise too_many(side, most)
    if binary is None:
        return tensors.strings_from_json(ENCODED, tensor.data, tensor.shape, most)
    return tensors.strings_from_bytes(ENCODED, binary, tensor.shape, most)


def _check_datatype(tensor: _Input, wanted: str) -> None:
    if tensor.datatype != wanted:
        raise RequestError(f"input {tensor.name!r} has the datatype {tensor.datatype[:40]!r}; it wants {wanted!r}")


def _wanted(head: _Head, manifest: Manifest) -> Wanted:
    """The one output as the request wants it; without a word about it, as the request's own parameters say."""
    if len(head.outputs) > 1:
        raise RequestError(f"{len(head.outputs)} outputs; the model has one, {manifest.output!r}")
    if not head.outputs:
        return Wanted(head.parameters.binary_data_output)
    (output,) = head.outputs
    if output.name != manifest.output:
        raise RequestError(f"unexpected output {output.name[:100]!r}; the model gives {manifest.output!r}")
    if output.parameters.shared_memory_region is not None:
        raise RequestError("shared memory is not taken; the answer comes in the body")
    binary = output.parameters.binary_data
    return Wanted(head.parameters.binary_data_output if binary is None else binary, output.parameters.classification)


def _shaped(wanted: Wanted, manifest: Manifest, logits: NDArray[np.float32]) -> tuple[NDArray[Any], str]:
    """The logits, or `value:index:label` of the likeliest classes: (images, classes) either way."""
    if not wanted.classes:
        return logits, LOGITS
    order = np.argsort(-logits, axis=1, kind="stable")[:, : wanted.classes]
    texts = [
        [f"{row[index]:f}:{index}:{manifest.classes[index]}" for index in best]
        for row, best in zip(logits.tolist(), order.tolist(), strict=True)
    ]
    return np.array(texts, dtype=object), BYTES
