"""Generated pictures that can be learned: each class is a grating of one orientation, with noise, phase and colour."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def texture(label: int, classes: int, rng: np.random.Generator, side: int = 32) -> NDArray[np.uint8]:
    """One picture, (side, side, 3)."""
    angle = math.pi * label / classes + rng.normal(0, 0.03)
    rows, columns = np.mgrid[:side, :side]
    wave = np.sin(2 * math.pi * (rows * math.sin(angle) + columns * math.cos(angle)) / 6 + rng.uniform(0, 2 * math.pi))
    colour, grain = rng.uniform(20, 60, size=3), rng.normal(0, 15, size=(side, side, 3))
    return np.clip(128 + wave[..., None] * colour + grain, 0, 255).astype(np.uint8)


def write_textures(folder: Path, *, classes: int, each: int, seed: int = 0, side: int = 32) -> Path:
    """A folder of class folders: <folder>/texture<label>/<number>.png."""
    rng = np.random.default_rng(seed)
    for label in range(classes):
        place = folder / f"texture{label}"
        place.mkdir(parents=True)
        for number in range(each):
            Image.fromarray(texture(label, classes, rng, side)).save(place / f"{number:04}.png")
    return folder
