"""AVIF files as other encoders may write them: a picture in cells, and every width of numbers that the boxes allow."""

import base64
import struct
from collections.abc import Collection

# 192 x 128 pixels in six cells, red to the right, green downwards; of libavif's `avifenc --grid 3x2`.
GRID = base64.b64decode(
    "AAAAIGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZk1BMUEAAAJDbWV0YQAAAAAAAAAoaGRscgAAAAAAAAAAcGljdAAAAAAAAAAAAAAAAGxp"
    "YmF2aWYAAAAADnBpdG0AAAAAAAEAAAByaWxvYwAAAABEAAAHAAEAAAABAAACawAAAAgAAgAAAAEAAAJzAAAANAADAAAAAQAAAqcAAAA0"
    "AAQAAAABAAAC2wAAADcABQAAAAEAAAMSAAAANQAGAAAAAQAAA0cAAAAzAAcAAAABAAADegAAADQAAADEaWluZgAAAAAABwAAABppbmZl"
    "AgAAAAABAABncmlkQ29sb3IAAAAAGmluZmUCAAABAAIAAGF2MDFDb2xvcgAAAAAaaW5mZQIAAAEAAwAAYXYwMUNvbG9yAAAAABppbmZl"
    "AgAAAQAEAABhdjAxQ29sb3IAAAAAGmluZmUCAAABAAUAAGF2MDFDb2xvcgAAAAAaaW5mZQIAAAEABgAAYXYwMUNvbG9yAAAAABppbmZl"
    "AgAAAQAHAABhdjAxQ29sb3IAAAAAJGlyZWYAAAAAAAAAGGRpbWcAAQAGAAIAAwAEAAUABgAHAAAAp2lwcnAAAABfaXBjbwAAABRpc3Bl"
    "AAAAAAAAAMAAAACAAAAAEHBpeGkAAAAAAwgICAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABAAAAAQAAAAAxhdjFDgSAA"
    "AAAAAEBpcG1hAAAAAAAAAAcAAQMBAgMAAgQEAoUDAAMEBAKFAwAEBAQChQMABQQEAoUDAAYEBAKFAwAHBAQChQMAAAFLbWRhdAAAAQIA"
    "wACAEgAKCTgVf/2EBDQaQDIlHcA9999EALUx5DX6etfGv5t2FmKhXlXmxytwN1+012f4SpqzSBIACgk4FX/9hAQ0GkAyJR3APfffRAC1"
    "MeQ2GCla2Ub/ZCsN5ijpIbwI/7AFZAC5OfeCsfUSAAoJOBV//YQENBpAMigdwD3330QAwbsIjUK40TFHqrGKbIFXelc6eoGZ5OQEdmGN"
    "DtRAlP34EgAKCTgVf/2EBDQaQDImHcA9999EALUx5CQydLm1yd6VhahKqntRSfPL2saF+NrwR8UOmCcSAAoJOBV//YQENBpAMiQdwD33"
    "30QAtTHjleaiGMMUL8CqzRhIuZvu23aSiAzK10x57BgSAAoJOBV//YQENBpAMiUdwD3330QAwzlx30y5jt65z91rXM7ikWMXnRbet+3A"
    "MvRpBeME"
)


def widened(
    data: bytes,
    version: int = 0,
    *,
    offset: int = 4,
    length: int = 4,
    base: int = 0,
    index: int = 0,
    large: Collection[bytes] = (),
    described: bytes = b"",
) -> bytes:
    """The same file with numbers of other widths in bytes.

    version: of the box that says where items lie; in the second their numbers are wide, too. base: 0, or where the
    place of an item stands instead of in its piece. large: boxes whose size takes eight bytes. described: more entries
    for the list of items, as one box each.
    """
    top = dict(_boxes(data))
    inner = _boxes(top[b"meta"][4:])
    items = _items(dict(inner)[b"iloc"])

    def made(shift: int) -> bytes:
        wide = 4 if version == 2 else 2
        located = struct.pack(">IBB", version << 24, offset << 4 | length, base << 4 | index) + len(items).to_bytes(
            wide
        )
        for item, at, size in items:
            located += item.to_bytes(wide) + (b"\0\0" if version else b"") + b"\0\0"
            located += (at + shift).to_bytes(base) if base else b""
            located += b"\0\1" + bytes(index) + (0 if base else at + shift).to_bytes(offset) + size.to_bytes(length)
        contents = {b"iloc": located, b"iinf": _with_entries(dict(inner)[b"iinf"], described)}
        meta = top[b"meta"][:4] + b"".join(_box(kind, contents.get(kind, old), large) for kind, old in inner)
        parts = {b"ftyp": top[b"ftyp"], b"meta": meta, b"mdat": top[b"mdat"]}
        return b"".join(_box(kind, content, large) for kind, content in parts.items())

    return made(len(made(0)) - len(data))


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + size]))
        at += size
    return found


def _box(kind: bytes, content: bytes, large: Collection[bytes]) -> bytes:
    if kind in large:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _items(located: bytes) -> list[tuple[int, int, int]]:
    """Number, place and size of every item, of which each is one piece."""
    count = struct.unpack_from(">H", located, 6)[0]
    entries = (struct.unpack_from(">HHHII", located, 8 + 14 * number) for number in range(count))
    return [(item, at, size) for item, _, _, at, size in entries]


def _with_entries(listed: bytes, described: bytes) -> bytes:
    count = struct.unpack_from(">H", listed, 4)[0] + len(_boxes(described))
    return listed[:4] + struct.pack(">H", count) + listed[6:] + described
