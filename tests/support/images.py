"""Encoded images for tests."""

import io
from typing import Any

import numpy as np
from PIL import Image

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(colour: str = "red", size: tuple[int, int] = (8, 8), kind: str = "PNG") -> bytes:
    return encoded(Image.new("RGB", size, COLOURS[colour]), kind)


def noise(side: int = 16, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))
