"""The images that a load sends: files as they are, or made here; and their pixels, for requests that carry pixels."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from service.load.plan import LoadError

MOST = 256  # images in memory; of a larger folder so many, evenly taken
_MADE = 16
_KINDS = {"jpg": "jpeg", "tif": "tiff"} | {kind: kind for kind in ("jpeg", "png", "webp", "bmp", "gif", "tiff", "avif")}
_FORMATS = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image and its media type."""

    name: str
    content: bytes
    kind: str

    def pixels(self, width: int, height: int) -> NDArray[np.uint8]:
        """(height, width, 3). Any resize does: what is measured does not depend on what is to be seen."""
        try:
            with Image.open(io.BytesIO(self.content)) as image:
                return np.asarray(image.convert("RGB").resize((width, height)))
        except (UnidentifiedImageError, OSError) as error:
            raise LoadError(f"{self.name}: its pixels are wanted, and it cannot be decoded ({error}).") from error


def read_pictures(paths: Sequence[Path]) -> list[Picture]:
    """Files, and the images in folders and their folders. Raises LoadError if there is none."""
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise LoadError(f"{', '.join(map(str, paths))}: no image there (by the suffix: .jpg, .png, ...).")
    step = max(len(files) / MOST, 1)
    chosen = [files[int(number * step)] for number in range(min(len(files), MOST))]
    return [Picture(str(file), _content(file), _kind(file)) for file in chosen]


def make_pictures(what: str, seed: int) -> list[Picture]:
    """Smooth noise of a size and format, as in `224x224.jpg`: of about the bytes that a photograph has."""
    found = re.fullmatch(r"(\d+)x(\d+)\.([a-z]+)", what.lower())
    if not found or found[3] not in _FORMATS or not int(found[1]) or not int(found[2]):
        raise LoadError(f"{what!r} is no size and format. Say it like 224x224.jpg; formats: {', '.join(_FORMATS)}.")
    width, height, rng = int(found[1]), int(found[2]), np.random.default_rng(seed)
    return [_made(f"{number}-{what}", width, height, found[3], rng) for number in range(_MADE)]


def _made(name: str, width: int, height: int, suffix: str, rng: np.random.Generator) -> Picture:
    coarse = rng.integers(0, 256, (max(height // 8, 1), max(width // 8, 1), 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(smooth + rng.integers(-8, 9, smooth.shape), 0, 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(noisy).save(content, _FORMATS[suffix], **({"quality": 90} if suffix != "png" else {}))
    return Picture(name, content.getvalue(), f"image/{_FORMATS[suffix].lower()}")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in sorted(path.rglob("*")) if file.is_file() and _kind(file).startswith("image/")]
    return [path]


def _kind(file: Path) -> str:
    suffix = file.suffix.lower().removeprefix(".")
    return f"image/{_KINDS[suffix]}" if suffix in _KINDS else "application/octet-stream"


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise LoadError(f"{file}: {error.strerror}.") from error
