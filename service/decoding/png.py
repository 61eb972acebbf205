"""A plain PNG without Pillow's parser, which takes longer over a small file's head than its decoder over the pixels.

Plain is: 8 bits a channel, no palette, not interlaced; a head, one piece of data and an end, and nothing beside them.
The decoder is Pillow's own, so the pixels are. Whatever is not plain, or damaged, is left to Pillow.
"""

import struct
import zlib

from PIL import Image

_HEAD = struct.Struct(">8s4x4sIIBBBBBI")  # signature, IHDR with its thirteen bytes, and its sum
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LENGTHS = b"\0\0\0\r"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_MODES = {0: "L", 2: "RGB", 4: "LA", 6: "RGBA"}  # by the type of colour
_DATA = _HEAD.size  # where the length of the piece of data stands
_AROUND = _DATA + 8 + 4 + len(_END)  # bytes of a plain file but for the data


def plain(data: bytes, most_pixels: int) -> Image.Image | None:
    """The decoded image; None for what is not plain, or has more pixels."""
    if len(data) < _AROUND or not data.endswith(_END) or data[8:12] != _LENGTHS:
        return None
    signature, kind, width, height, depth, colour, packing, filtering, interlacing, total = _HEAD.unpack_from(data)
    mode = _MODES.get(colour)
    if (signature, kind, depth, packing, filtering, interlacing) != (_SIGNATURE, b"IHDR", 8, 0, 0, 0) or mode is None:
        return None
    if not 0 < width * height <= most_pixels or zlib.crc32(data[12 : _DATA - 4]) != total:
        return None
    if data[_DATA : _DATA + 8] != struct.pack(">I4s", len(data) - _AROUND, b"IDAT"):
        return None
    try:
        return Image.frombytes(mode, (width, height), data[_DATA + 8 : -len(_END) - 4], "zip", mode)
    except ValueError:  # Pillow's reader knows how to say what is wrong
        return None
