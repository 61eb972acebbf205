"""What images hold, in one number: another picture, another label or another order gives another."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

import numpy as np

from harmonic.cores import usable_cores
from harmonic.data.images import Images, content
from harmonic.data.tracking import tracked
from harmonic.errors import DataError


def fingerprint(images: Images) -> str:
    """Hexadecimal digits over every image's content and the name of its class, and over groups and folds.

    What images are called, and how a model numbers their classes, is no part of it. DataError for an unreadable image.
    """
    whole = blake2b(digest_size=16)
    for label, digest in zip(images.labels, digests(images), strict=True):
        whole.update(digest + images.classes[label].encode() + b"\0")
    for numbers in (images.groups, *images.folds):
        whole.update(b"\1" if numbers is None else np.ascontiguousarray(numbers).tobytes() + b"\2")
    return whole.hexdigest()


def digests(images: Images) -> Iterator[bytes]:
    """A number of each image's content, in their order, read on all cores. DataError for an unreadable image."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        contents = pool.map(lambda index: _content(images, index), range(len(images)))
        yield from tracked(contents, "Comparing images", len(images))


def _content(images: Images, index: int) -> bytes:
    try:
        return content(images.open, index)
    except Exception as error:  # Decoders raise whatever a broken file makes them; it is told by name.
        raise DataError(f"{images.names[index]} cannot be read ({str(error) or type(error).__name__}).") from error
