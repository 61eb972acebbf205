"""Images as programs have them become bytes that can be sent."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harmonic.errors import PixelError
from harmonic.pixels import Upright, as_image

Picture = str | Path | bytes | Image.Image | NDArray[Any]


def several(images: Picture | Iterable[Picture]) -> list[Picture] | None:
    """A list where there are several, be they none; None for a single one, and for what is no image at all."""
    if isinstance(images, str | bytes | Image.Image | np.ndarray) or not isinstance(images, Iterable):
        return None
    return list(images)


def encoded(picture: Picture) -> bytes:
    """The file as it is; pixels as a PNG, turned and converted as the service would. Raises PixelError."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | Path):
        try:
            return Path(picture).read_bytes()
        except OSError as error:
            raise PixelError(f"{picture}: cannot be read ({error.strerror}).") from error
    buffer = io.BytesIO()
    # Speed matters more than size on the way to a service.
    Upright(as_image(picture)).whole().save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def body(images: Sequence[bytes]) -> tuple[bytes, str]:
    """One request's body with these images, and its Content-Type."""
    if len(images) == 1:
        return images[0], "application/octet-stream"
    boundary = uuid4().hex  # nobody's image has it
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n\r\n'.encode()
    parts = [piece for image in images for piece in (head, image, b"\r\n")]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"
