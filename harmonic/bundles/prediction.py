"""What a network answers to images as people have them: files, bytes, Pillow's images, arrays.

They are prepared as in serving, so the answers are those of the service, up to the rounding of its arithmetic.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num
from numpy import ndarray
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from harmonic.bundles.classifier import Classifier
from harmonic.errors import PixelError
from harmonic.pixels import PixelSpec, Upright, as_image, prepare

Picture = str | Path | bytes | Image.Image | NDArray[Any]
_AT_ONCE = 32  # images in memory, and in one run of the network


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one image. classes: in the order of the network. probabilities: one a class, their sum is 1."""

    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.top(1)[0][0]

    @property
    def probability(self) -> float:
        """Of the likeliest class."""
        return self.top(1)[0][1]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The `k` likeliest classes, or as many as there are, with their probabilities; equal ones in the order of
        the network."""
        pairs = zip(self.classes, self.probabilities, strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])[:k]


def predictions(
    network: nn.Module, spec: PixelSpec, classes: tuple[str, ...], pictures: Iterable[Picture]
) -> list[Prediction]:
    """The network's answer to each picture. PixelError names the first that cannot be read or prepared."""
    found: list[Prediction] = []
    for part in _parts(pictures):
        rows = [_prepared(picture, spec, number) for number, picture in enumerate(part, len(found) + 1)]
        answers = probabilities(network, spec, np.stack(rows))
        found += [Prediction(classes, tuple(row)) for row in answers.tolist()]
    return found


def probabilities(network: nn.Module, spec: PixelSpec, images: Num[ndarray, "n h w c"]) -> Float[ndarray, "n classes"]:
    """Each row sums to 1. images: prepared. The network answers on the device where it lies, in evaluation mode."""
    weight = next(network.parameters(), None)
    device = torch.device("cpu") if weight is None else weight.device
    model = Classifier(network, spec).to(device).eval()
    with torch.inference_mode():
        logits = model(torch.from_numpy(images).to(device))
    return np.asarray(logits.double().softmax(dim=1).cpu().numpy())


def _parts(pictures: Iterable[Picture]) -> Iterator[tuple[Picture, ...]]:
    rest = iter(pictures)
    while part := tuple(islice(rest, _AT_ONCE)):
        yield part


def _prepared(picture: Picture, spec: PixelSpec, number: int) -> NDArray[Any]:
    name = str(picture) if isinstance(picture, str | Path) else f"image {number}"
    try:
        return prepare(_taken(picture), spec)
    except OSError as error:  # of a file, or of one that Pillow reads only now
        raise PixelError(f"{name}: cannot be read ({error.strerror or error}).") from error
    except PixelError as error:
        raise PixelError(f"{name}: {error}") from error


def _taken(picture: Picture) -> Upright | bytes:
    if isinstance(picture, str | Path):
        return Path(picture).read_bytes()
    if isinstance(picture, bytes):
        return picture
    return Upright(as_image(picture))
