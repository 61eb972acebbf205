"""Small pictures for tests: textures that a network can tell apart, laid out as people lay out their images."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("checks", "columns", "rows")


def texture(kind: str, seed: int, side: int = 12) -> Image.Image:
    """Waves along rows, along columns, or both, at a random phase and pitch, with noise."""
    rng = np.random.default_rng((CLASSES.index(kind), seed))
    y, x = np.mgrid[:side, :side]
    wave = {"rows": np.sin, "columns": np.sin, "checks": lambda v: np.sign(np.sin(v))}[kind]
    along = {"rows": y, "columns": x, "checks": x + 2 * y}[kind]
    values = 127 + 90 * wave(along * rng.uniform(1.0, 2.0) + rng.uniform(0, 6))
    pixels = values[..., None] + rng.normal(0, 25, (side, side, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_textures(root: Path, count: int, *, first: int = 0, classes: tuple[str, ...] = CLASSES) -> Path:
    """`count` textures of every class as `<root>/<class>/<number>.png`."""
    for kind in classes:
        (root / kind).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            texture(kind, number).save(root / kind / f"{number}.png")
    return root


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    """A zip of these members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path
