"""A running service as a predictor, so that `harmonic evaluate` measures what callers get.

A service that wants an API key gets the one in HARMONIC_API_KEY.
Speaks the Open Inference Protocol: prepared images go in binary tensors, logits come back in others.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from harmonic.pixels import PixelSpec
from service.answers import VersionDetail
from service.client import Client, Retries, UnexpectedAnswerError
from service.ranking import softmax

_PATIENCE_S = 120.0
_IN_FLIGHT = 4  # requests at once: enough that one is decoded while another runs


@dataclass(frozen=True)
class ServicePredictor:
    """One version of one model of a service. address: the service's own."""

    address: str
    name: str
    version: int
    classes: tuple[str, ...]
    pixels: PixelSpec

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float64]:
        rows = np.ascontiguousarray(images, dtype=self.pixels.dtype)
        with _asking(self.address) as client:
            logits = client.infer(rows, model=self.name, version=self.version)
        if logits.shape[1] != len(self.classes):
            raise UnexpectedAnswerError(f"{self.name} gave {logits.size} logits for {len(images)} images.")
        return softmax(logits)


def service_predictor(target: str) -> ServicePredictor | None:
    """A predictor from a model's address, `http://host:port/v1/models/NAME[/versions/N]`; None for anything else.

    Without a version it is the newest that is ready. Raises ClientError and its kinds if no such service answers there.
    """
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https"):
        return None
    words = parts.path.strip("/").split("/")
    if words[:2] != ["v1", "models"] or len(words) not in (3, 5) or (len(words) == 5 and not words[4].isdecimal()):
        raise UnexpectedAnswerError(
            f"{target} names no model. Give an address like http://127.0.0.1:8000/v1/models/NAME, or one that ends in "
            "/versions/1."
        )
    address, name = f"{parts.scheme}://{parts.netloc}", unquote(words[2])
    with _asking(address) as client:
        described = client.model(name)
    facts = _ready(described.versions, int(words[4]) if len(words) == 5 else None)
    if facts is None:
        raise UnexpectedAnswerError(f"{target} has no such version that is ready.")
    if facts.labels is None or facts.pixels is None:
        raise UnexpectedAnswerError(f"{target} does not describe its model as this build expects.")
    return ServicePredictor(address, name, facts.version, tuple(facts.labels), facts.pixels)


def _asking(address: str) -> Client:
    return Client(address, patience_s=_PATIENCE_S, parallel=_IN_FLIGHT, retries=Retries(attempt_s=_PATIENCE_S))


def _ready(versions: list[VersionDetail], wanted: int | None) -> VersionDetail | None:
    """The newest version that serves, or the one that is wanted."""
    ready = [one for one in versions if one.state == "ready" and wanted in {None, one.version}]
    return max(ready, key=lambda one: one.version, default=None)
