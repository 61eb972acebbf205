"""The tensor codec of the Open Inference Protocol: elements as JSON numbers, or as little-endian bytes.

Knows neither HTTP nor models. Sizes are Python integers, which do not overflow, and are compared before anything is
allocated.
"""

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import RequestError

MOST_DIMENSIONS = 8
_LENGTH = struct.Struct("<I")  # in front of every element of a BYTES tensor


def elements(name: str, shape: Sequence[int]) -> int:
    """How many elements a tensor of this shape has. Raises RequestError for a shape that no tensor has."""
    if len(shape) > MOST_DIMENSIONS or any(not 0 <= side < 2**63 for side in shape):
        raise RequestError(f"input {name!r}: no tensor has the shape {str(list(shape))[:100]}")
    return math.prod(shape)


def numbers_from_bytes(name: str, data: memoryview, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A tensor of numbers without a copy where its place allows; read-only, and keeps `data` alive.

    Raises RequestError for another size, and for infinities and NaN.
    """
    wanted = elements(name, shape) * dtype.itemsize
    if len(data) != wanted:
        raise RequestError(f"input {name!r}: {len(data)} bytes; the shape {list(shape)} wants {wanted}")
    array = np.frombuffer(data, dtype.newbyteorder("<")).reshape(shape)
    return _finite(name, np.require(array, dtype, "A"))  # numbers may lie at an address that no number should have


def numbers_from_json(name: str, data: object, shape: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A tensor from numbers, nested or flat, in row-major order.

    Raises RequestError for another number of elements, and for elements that the dtype does not have.
    """
    count = elements(name, shape)
    try:
        array = np.asarray(data)
    except (ValueError, OverflowError):  # ragged lists, or nested too deeply
        raise RequestError(f"input {name!r}: its data are no tensor; nest them evenly, or send one flat list") from None
    if array.size != count:
        raise RequestError(f"input {name!r}: {array.size} elements; the shape {list(shape)} wants {count}")
    if count and dtype == np.uint8 and (array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255):
        raise RequestError(f"input {name!r}: its data want to be whole numbers from 0 to 255")
    if array.dtype.kind not in "iuf":
        raise RequestError(f"input {name!r}: its data want to be numbers")
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused
        return _finite(name, array.astype(dtype).reshape(shape))


def strings_from_bytes(name: str, data: memoryview, shape: Sequence[int], most: int) -> list[bytes]:
    """The elements of a BYTES tensor: each is its length, 4 bytes little-endian, and itself."""
    count = _bounded(name, shape, most)
    found: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + _LENGTH.size
        if start > len(data) or len(found) == count:
            raise RequestError(f"input {name!r}: bytes are left over after element {len(found)} of {count}")
        (length,) = _LENGTH.unpack_from(data, position)
        position = start + length
        if position > len(data):
            raise RequestError(
                f"input {name!r}: element {len(found) + 1} claims {length} bytes and {len(data) - start} are there; "
                "lengths are 4 bytes, little-endian"
            )
        found.append(bytes(data[start:position]))
    if len(found) != count:
        raise RequestError(f"input {name!r}: {len(found)} elements; the shape {list(shape)} wants {count}")
    return found


def strings_from_json(name: str, data: object, shape: Sequence[int], most: int) -> list[bytes]:
    """The elements of a BYTES tensor from base64 strings: JSON has no bytes, and images are no text."""
    count = _bounded(name, shape, most)
    if not isinstance(data, list) or len(data) != count:
        raise RequestError(f"input {name!r}: its data want to be a list of {count} base64 strings")
    return [_from_base64(name, index, text) for index, text in enumerate(data)]


def to_json(array: NDArray[Any]) -> list[Any]:
    """The elements in row-major order; text for BYTES."""
    flat: list[Any] = array.ravel().tolist()
    return flat


def to_bytes(array: NDArray[Any]) -> bytes:
    """The elements in row-major order, little-endian; those of dtype object are text, and become BYTES."""
    if array.dtype != object:
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    texts = [text.encode() for text in array.ravel()]
    return b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))


def _finite(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(array).all():
        raise RequestError(f"input {name!r}: it has infinities, or values that are no numbers")
    return array


def _bounded(name: str, shape: Sequence[int], most: int) -> int:
    count = elements(name, shape)
    if count > most:
        raise RequestError(f"input {name!r}: {count} elements; up to {most} are taken. Split the request.")
    return count


def _from_base64(name: str, index: int, text: object) -> bytes:
    if not isinstance(text, str):
        raise RequestError(f"input {name!r}: element {index + 1} is no string")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"input {name!r}: element {index + 1} is no base64 ({error})") from None
