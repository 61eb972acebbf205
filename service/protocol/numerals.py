"""Large JSON tensors without a Python object for every number.

A parser that is handed millions of numbers holds the interpreter, and with it every other request, for as long as it
builds them. So the numbers are cut out of the text first, the rest is parsed as JSON, and they are read a piece at a
time, between which others have their turn. Knows neither HTTP nor models.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.errors import RequestError

PLACE = True  # stands in the JSON where numbers were cut out; no tensor's data are that
MOST_PARTS = 64 * 1024  # commas and brackets of JSON that is left; each is an object to build
_KEY = b'"data"'
_DIGITS = b"0123456789"
_NUMERALS = _DIGITS + b"+-.eE"
_SPACE = b" \t\r\n"
_PIECE = 128 * 1024  # bytes of text that are read at a stretch: a few milliseconds
_WHOLE, _REAL = np.dtype(np.int64), np.dtype(np.float64)


def cut_out(head: bytes) -> tuple[bytes, bytes | None]:
    """JSON with `data` of nothing but numbers replaced by PLACE, and the text of those; None where there are no such.

    Raises RequestError for JSON of far more parts than an inference request has.
    """
    rest, text = _cut(head)
    if rest.count(b",") + rest.count(b"[") + rest.count(b"{") > MOST_PARTS:
        raise RequestError(
            f"the JSON has more than {MOST_PARTS:,} parts besides one array of numbers. "
            "Send one tensor, flat or nested as its shape says, or binary data."
        )
    return rest, text


def _cut(head: bytes) -> tuple[bytes, bytes | None]:
    if head.count(_KEY) != 1:
        return head, None
    key = head.index(_KEY)
    start = head.find(b"[", key)
    ends = [place for mark in (b'"', b"}") if (place := head.find(mark, key + len(_KEY))) >= 0]
    end = head.rfind(b"]", start, min(ends)) + 1 if ends and start >= 0 else 0
    text = head[start:end]
    if (
        not text
        or head[key + len(_KEY) : start].strip(_SPACE) != b":"
        or text.translate(None, _NUMERALS + _SPACE + b"[],")
    ):
        return head, None
    return b"true".join((head[:start], head[end:])), text


def read_numbers(name: str, text: bytes, shape: Sequence[int], whole: bool) -> NDArray[Any]:
    """The numbers of a text that `cut_out` gave, flat; int64 if they are to be whole, else float64.

    Raises RequestError for another number of them than the shape has, and where they are neither flat nor nested as
    the shape says.
    """
    count = int(np.prod(shape, dtype=object))
    brackets = text.translate(None, _NUMERALS + _SPACE)
    if brackets.count(b",") + 1 != count:
        raise RequestError(
            f"input {name!r}: {brackets.count(b',') + 1} elements; the shape {list(shape)} wants {count}"
        )
    if brackets not in (_nest([count]), _nest(shape)):
        raise RequestError(
            f"input {name!r}: its data are no tensor; nest them as the shape says, or send one flat list"
        )
    if whole and text.translate(None, _DIGITS + _SPACE + b"[],"):
        raise _no_numbers(name, whole)
    found = np.empty(count, _WHOLE if whole else _REAL)
    position = 0
    for piece in _pieces(text.translate(None, b"[]")):
        try:
            numbers = np.fromstring(piece, found.dtype, sep=",")
        except ValueError:
            raise _no_numbers(name, whole) from None
        if len(numbers) != piece.count(b",") + 1:  # what numpy before 2.5 does: it stops at the first that is none
            raise _no_numbers(name, whole)
        found[position : position + len(numbers)] = numbers
        position += len(numbers)
    return found


def _no_numbers(name: str, whole: bool) -> RequestError:
    return RequestError(f"input {name!r}: its data want to be {'whole numbers from 0 to 255' if whole else 'numbers'}")


def _nest(shape: Sequence[int]) -> bytes:
    """The brackets and commas of a tensor of this shape."""
    inner = b""
    for side in reversed(shape):
        inner = b"[" + b",".join([inner] * side) + b"]"
    return inner


def _pieces(text: bytes) -> Iterator[bytes]:
    """The text, cut at commas."""
    start = 0
    while (end := text.find(b",", start + _PIECE)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]
