"""Any decoded image as upright 8-bit RGB: the only mode conversion and the only turn, for training, evaluation and
serving alike.

Knows numpy and Pillow; no model. The picture is made in tiles, where and when it is looked at, so that it never costs
more than the pixels asked for and a few megabytes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from harmonic.errors import PixelError

_TILE = 2**20  # pixels converted at once
_BETWEEN = 2**22  # pixels that may lie between the two passes of a resize which widens
_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING, _FROM_RIGHT, _FROM_BOTTOM = {5, 6, 7, 8}, {2, 3, 7, 8}, {3, 4, 6, 7}  # how each is stored
_NO_RANGE = {"F", "I"}
_REACH = {  # of Pillow's filters, in pixels of the smaller of the two images
    Image.Resampling.BOX: 0.5,
    Image.Resampling.BILINEAR: 1,
    Image.Resampling.BICUBIC: 2,
    Image.Resampling.LANCZOS: 3,
}
Size = tuple[int, int]
Box = tuple[float, float, float, float]


def check_range(mode: str) -> None:
    """PixelError for a Pillow mode whose pixels have a range that nobody knows."""
    if mode in _NO_RANGE:
        kind = "floating-point" if mode == "F" else "32-bit integer"
        raise PixelError(f"the image has {kind} pixels of unknown range. Send 8 or 16 bits a channel.")


@dataclass(frozen=True, slots=True)
class Reduction:
    """An image that is decoded smaller than it is stored. size: width and height of what is stored; step: by how much
    they are divided; what does not fill a last pixel has one all the same."""

    size: Size
    step: int


class Upright:
    """An image as its EXIF orientation says, in 8-bit RGB: alpha on white, 16-bit grey scaled down.

    Of an animation it is the frame that the image stands at. PixelError for pixels of unknown range. size, width and
    height are those of the upright image as it is stored; own is the size in which it was decoded.
    """

    mode = "RGB"

    def __init__(self, image: Image.Image, reduction: Reduction | None = None) -> None:
        check_range(image.mode)
        self._image = image
        self._orientation = _orientation(image)
        self._step = reduction.step if reduction else 1
        self.own = self._turned(image.size)
        self.size = self._turned(reduction.size) if reduction else self.own
        self.width, self.height = self.size

    @property
    def plain(self) -> bool:
        """True where nothing is to be converted or turned."""
        return self._image.mode == "RGB" and self._orientation not in _TURNS and not self._image.has_transparency_data

    def whole(self) -> Image.Image:
        """All of it, in its own size; the image itself where that is upright RGB already."""
        return self._image if self.plain else self.crop((0, 0, *self.own))

    def in_own_pixels(self, box: Box) -> Box:
        """A part of the stored image in pixels of the decoded one."""
        if self._step == 1:
            return box
        # A last pixel that is not filled was the last one before the turn.
        lying = self._orientation in _LYING
        mirrored = (_FROM_BOTTOM, _FROM_RIGHT) if lying else (_FROM_RIGHT, _FROM_BOTTOM)
        x, y = (
            own - side / self._step if self._orientation in orientations else 0.0
            for own, side, orientations in zip(self.own, self.size, mirrored, strict=True)
        )
        left, top, right, bottom = (edge / self._step for edge in box)
        return left + x, top + y, right + x, bottom + y

    def crop(self, box: tuple[int, int, int, int]) -> Image.Image:
        """A part that lies inside of it, in its own pixels, as an RGB image."""
        if self.plain:
            return self._image.crop(box)
        left, top, right, bottom = box
        if (right - left) * (bottom - top) <= _TILE:
            return self._tile(box)
        part = Image.new("RGB", (right - left, bottom - top))
        for tile in _tiles(box):
            part.paste(self._tile(tile), (tile[0] - left, tile[1] - top))
        return part

    def _tile(self, box: tuple[int, int, int, int]) -> Image.Image:
        part = _rgb(self._image.crop(self._stored(box)))
        turn = _TURNS.get(self._orientation)
        return part if turn is None else part.transpose(turn)

    def _turned(self, size: Size) -> Size:
        return size[::-1] if self._orientation in _LYING else size

    def _stored(self, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """Where a part of the upright image lies in the stored one."""
        left, top, right, bottom = box
        if self._orientation in _LYING:
            left, top, right, bottom = top, left, bottom, right
        width, height = self._image.size
        if self._orientation in _FROM_RIGHT:
            left, right = width - right, width - left
        if self._orientation in _FROM_BOTTOM:
            top, bottom = height - bottom, height - top
        return left, top, right, bottom


def whole(picture: Image.Image | Upright) -> Image.Image:
    """All of a picture as Pillow's image."""
    return picture.whole() if isinstance(picture, Upright) else picture


def upright_rgb(image: Image.Image) -> Image.Image:
    """The whole image, turned as its EXIF orientation says, in 8-bit RGB. PixelError for pixels of unknown range."""
    return Upright(image).whole()


def resized(picture: Image.Image | Upright, size: Size, way: Image.Resampling, box: Box | None = None) -> Image.Image:
    """Resample a picture, or a box of it, to `size`: along its rows first and then along its columns.

    box: in pixels of the picture as it is stored, also where it was decoded smaller.

    Pillow's own resize picks the order by what is faster, which differs from version to version and moves a value by
    one; here it is always the same, so that the pixels are, too. Only a strip of an `Upright` is made at a time. The
    exception: what is widened, and so long that the rows between the passes would take much memory, goes along its
    columns first.
    """
    box = box or (0, 0, *picture.size)
    if isinstance(picture, Upright):
        box = picture.in_own_pixels(box)
    (width, height), (left, top, right, bottom) = _own_size(picture), map(_single, box)
    first, last = _reached(top, bottom, height, size[1], _REACH[way])
    if size[0] > width and size[0] * (last - first) > _BETWEEN:
        short = whole(picture).resize((width, size[1]), way, box=(0, top, width, bottom))
        return short.resize(size, way, box=(left, 0, right, size[1]))
    narrow = _narrowed(picture, first, last, size[0], way, (left, right))
    return narrow.resize(size, way, box=(0, top - first, size[0], bottom - first))


def _narrowed(
    picture: Image.Image | Upright, first: int, last: int, width: int, way: Image.Resampling, sides: tuple[float, float]
) -> Image.Image:
    """Rows first .. last, each resampled to `width` pixels."""
    across, down = _own_size(picture)
    step = max(1, _TILE // across)
    if not isinstance(picture, Upright) or picture.plain or last - first <= step:
        strip = picture.crop((0, first, across, last)) if (first, last) != (0, down) else picture
        return whole(strip).resize((width, last - first), way, box=(sides[0], 0, sides[1], last - first))
    narrow = Image.new("RGB", (width, last - first))
    for start in range(first, last, step):
        end = min(start + step, last)
        strip = picture.crop((0, start, across, end))
        strip = strip.resize((width, end - start), way, box=(sides[0], 0, sides[1], end - start))
        narrow.paste(strip, (0, start - first))
    return narrow


def _own_size(picture: Image.Image | Upright) -> Size:
    """Width and height of the pixels that there are of a picture."""
    return picture.own if isinstance(picture, Upright) else picture.size


def _single(value: float) -> float:
    """As Pillow holds it; a whole number less of it is exact then, too."""
    return float(np.float32(value))


def _tiles(box: tuple[int, int, int, int]) -> Iterator[tuple[int, int, int, int]]:
    left, top, right, bottom = box
    width = min(right - left, _TILE)
    height = max(1, _TILE // width)
    for y in range(top, bottom, height):
        for x in range(left, right, width):
            yield x, y, min(x + width, right), min(y + height, bottom)


def _reached(start: float, end: float, size: int, target: int, reach: float) -> tuple[int, int]:
    """First and last (exclusive) row that a resize of start .. end to `target` rows looks at, and one more a side."""
    margin = reach * max(1.0, (end - start) / target) + 1
    return max(0, math.floor(start - margin)), min(size, math.ceil(end + margin))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _from_16_bit(image)
    if image.has_transparency_data:
        layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    """16-bit grey to 8: 65535 is white, rounded to the nearest; Pillow's own conversion cuts off at 255."""
    grey = np.asarray(image).astype(np.uint32)
    return Image.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; EXIF data that cannot be read are no reason to refuse the pixels."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:  # Pillow's parser lets out whatever broken data made it run into
        return 1
