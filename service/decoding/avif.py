"""What the coded pictures of an AVIF file may be, whatever its container says of them.

A decoder makes the picture that is coded and scales it to the size that the container declares, so a file of a thousand
bytes can declare 16 x 16 pixels and take gigabytes. ISO/IEC 14496-12 and 23008-12 for the boxes, AV1's specification,
sections 5.3 to 5.5, for the sequence header. Knows bytes alone; what cannot be read is refused.
"""

from collections.abc import Iterator
from typing import NamedTuple

from service.errors import DecodeError

_HOLDERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}  # boxes of which only the boxes in them count
_WORDS = {b"Exif", b"mime", b"uri "}  # items that no decoder takes for a picture
_SEQUENCE_HEADER = 1
_MOST_BOXES = 10_000


class Coded(NamedTuple):
    """Coded pictures together, or a bound of them. pixels: of all; bytes: that a decoder has for these."""

    pixels: int
    bytes: int


def coded(data: bytes) -> Coded:
    """What is coded for the first frame of an AVIF file: tiles, alpha, thumbnails. Raises DecodeError."""
    try:
        largest = [max(found) for payload in _payloads(data) if (found := [*_sequences(payload)])]
    except IndexError:
        raise DecodeError("the image is damaged or cut short: its boxes end too early") from None
    if not largest:
        raise DecodeError("the image is damaged or cut short: it holds no AV1 sequence header")
    return Coded(sum(one.pixels for one in largest), sum(one.bytes for one in largest))


def _payloads(data: bytes) -> Iterator[bytes]:
    """The coded items, each as a whole, and the tracks' samples from the first of each chunk on."""
    for kind, start, end in _all_boxes(data, 0, len(data)):
        if kind == b"meta":
            yield from _items(data, start + 4, end)
        elif kind in {b"stco", b"co64"}:
            wide = 8 if kind == b"co64" else 4
            if _number(data, start + 4, 4):
                yield data[_number(data, start + 8, wide) :]


def _all_boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the content of every box, and of those in tracks."""
    waiting, seen = [(start, end)], 0
    while waiting:
        for kind, inside, last in _boxes(data, *waiting.pop()):
            seen += 1
            if seen > _MOST_BOXES:
                raise DecodeError("the image has more boxes than any picture needs")
            if kind in _HOLDERS:
                waiting.append((inside, last))
            yield kind, inside, last


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start + 8 <= end:
        size, kind, inside = _number(data, start, 4), data[start + 4 : start + 8], start + 8
        if size == 1:
            size, inside = _number(data, start + 8, 8), start + 16
        last = end if size == 0 else min(start + size, end)
        if last < inside:
            raise DecodeError("the image is damaged or cut short: a box is smaller than its own head")
        yield kind, inside, last
        start = last


def _items(data: bytes, start: int, end: int) -> Iterator[bytes]:
    """The bytes of every item that a `meta` box locates, but of words; what is no AV1 has no sequence header."""
    boxes = {kind: (inside, last) for kind, inside, last in _boxes(data, start, end)}
    if b"iloc" in boxes:
        own, _ = boxes.get(b"idat", (0, 0))
        words = _words(data, *boxes[b"iinf"]) if b"iinf" in boxes else set()
        for item, inside_meta, extents in _locations(data, boxes[b"iloc"][0]):
            if item in words:
                continue
            base = own if inside_meta else 0
            yield b"".join(
                data[base + offset : base + offset + length if length else None] for offset, length in extents
            )


def _words(data: bytes, start: int, end: int) -> set[int]:
    """The numbers of the items that are words, as often as they are named: text may look like a sequence header."""
    kinds: dict[int, set[bytes]] = {}
    for kind, inside, _ in _all_boxes(data, start + (8 if data[start] else 6), end):
        if kind == b"infe":
            wide = 4 if data[inside] == 3 else 2
            item, name = _number(data, inside + 4, wide), inside + 4 + wide + 2
            kinds.setdefault(item, set()).add(data[name : name + 4] if data[inside] > 1 else b"")
    return {item for item, names in kinds.items() if names <= _WORDS}


def _locations(data: bytes, at: int) -> Iterator[tuple[int, bool, list[tuple[int, int]]]]:
    """Of every item its number, whether it lies in the `meta` box itself, and its pieces as offset and length."""
    version, sizes = data[at], _number(data, at + 4, 2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version else 0
    wide = 4 if version == 2 else 2
    count, at = _number(data, at + 6, wide), at + 6 + wide
    if count > _MOST_BOXES:
        raise DecodeError("the image has more items than any picture needs")
    for _ in range(count):
        item, at = _number(data, at, wide), at + wide
        method = _number(data, at, 2) & 15 if version else 0
        at += 4 if version else 2
        base, pieces, at = _number(data, at, base_bytes), _number(data, at + base_bytes, 2), at + base_bytes + 2
        extents = []
        for _ in range(pieces):
            offset = _number(data, at + index_bytes, offset_bytes)
            length = _number(data, at + index_bytes + offset_bytes, length_bytes)
            extents.append((base + offset, length))
            at += index_bytes + offset_bytes + length_bytes
        yield item, method == 1, extents


def _sequences(payload: bytes) -> Iterator[Coded]:
    """Of every sequence header among the units of a coded item."""
    at = 0
    while at < len(payload):
        head = payload[at]
        if head & 0x81:  # bits that are 0 in every unit: this is no AV1
            return
        at += 2 if head & 4 else 1
        size = len(payload) - at
        if head & 2:
            size, at = _leb128(payload, at)
        if head >> 3 == _SEQUENCE_HEADER:
            yield _sequence(_Bits(payload[at : at + size]))
        at += size


def _sequence(bits: "_Bits") -> Coded:
    """Width times height as a sequence header bounds them."""
    profile, _, reduced = bits.take(3), bits.take(1), bits.take(1)
    if reduced:
        bits.take(5)
    else:
        _skip_operating_points(bits)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(wide) + 1, bits.take(high) + 1
    # Unless the header is the short one of a still picture, a frame may give a size of its own, of as many bits.
    pixels = width * height if reduced else 1 << (wide + high)
    return Coded(pixels, (3 if profile == 0 else 6) * pixels)  # 4:2:0 or more, in two bytes


def _skip_operating_points(bits: "_Bits") -> None:
    delays = 0
    decoder_model = False
    if bits.take(1):  # timing
        bits.take(32)
        bits.take(32)
        if bits.take(1):
            bits.golomb()
        decoder_model = bool(bits.take(1))
        if decoder_model:
            delays = bits.take(5) + 1
            bits.take(32)
            bits.take(10)
    initial_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if decoder_model and bits.take(1):
            bits.take(delays)
            bits.take(delays)
            bits.take(1)
        if initial_delay and bits.take(1):
            bits.take(4)


class _Bits:
    """A unit, bit by bit. IndexError beyond its end."""

    def __init__(self, unit: bytes) -> None:
        self._unit = unit[:256]  # no sequence header is longer
        self._at = 0

    def take(self, count: int) -> int:
        value = 0
        for at in range(self._at, self._at + count):
            value = value << 1 | self._unit[at >> 3] >> (7 - (at & 7)) & 1
        self._at += count
        return value

    def golomb(self) -> None:
        """Skip a number that begins with as many zeros as it has further bits."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        self.take(zeros)


def _leb128(payload: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        byte = payload[at + place]
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, at + place + 1
    raise IndexError("a length of more than eight bytes")


def _number(data: bytes, at: int, wide: int) -> int:
    if at + wide > len(data):
        raise IndexError(at)
    return int.from_bytes(data[at : at + wide])
