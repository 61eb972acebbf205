"""Encoded images for tests."""

import io
from typing import Any

import numpy as np
from PIL import Image

try:
    from pillow_heif import register_heif_opener
except ImportError:  # then no test asks for it: the format is not on the list

    def register_heif_opener() -> None:
        """There is none."""


COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """An image as a file of that kind; HEIC's encoder comes with its reader."""
    if kind == "HEIF":
        register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(colour: str = "red", size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
    return encoded(Image.new("RGB", size, COLOURS[colour]), kind)


def noise(side: int = 16, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


def smooth(width: int, height: int) -> Image.Image:
    """Waves of a few cycles, each channel its own: what a lossy format keeps."""
    y, x = np.mgrid[0:height, 0:width] * (2 * np.pi / np.array([[[height]], [[width]]]))
    planes = [128 + 100 * np.sin(k * x + 1) * np.cos((4 - k) * y) for k in (1, 2, 3)]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


def oriented(orientation: int) -> Image.Exif:
    """EXIF data that say how a picture is stored."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif
