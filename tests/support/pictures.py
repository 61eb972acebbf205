"""Picture files for tests: small textures, encoded, in folders and zips."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from harmonic import data
from harmonic.data import Images
from tests.support import textures

CLASSES = ("texture0", "texture1", "texture2")


def texture(kind: str, seed: int) -> Image.Image:
    """One 12 x 12 picture of a class, the same for the same seed."""
    label = CLASSES.index(kind)
    return Image.fromarray(textures.texture(label, len(CLASSES), np.random.default_rng((label, seed)), side=12))


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


def dot(colour="red"):
    return encoded(Image.new("RGB", (4, 4), colour))


def members(*names):
    return {name: dot() for name in names}


def read(*paths: Path, split: str = "train") -> Images:
    """The labelled images of these sources."""
    return data.read(list(paths), split)
