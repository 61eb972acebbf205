"""A running service as a predictor, so that `harmonic evaluate` measures what callers get.

A service that wants an API key gets the one in HARMONIC_API_KEY.
Speaks the Open Inference Protocol: prepared images go in one binary tensor, logits come back in one.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from harmonic.errors import HarmonicError
from harmonic.pixels import PixelSpec
from service.credential import VARIABLE, authorization
from service.ranking import softmax

_IN_FLIGHT = 4  # requests at once: enough that one is decoded while another runs
_TIMEOUT_S = 120.0
_DATATYPES = {"uint8": "UINT8", "float32": "FP32"}


class UnexpectedAnswerError(HarmonicError):
    """The service that was asked does not answer, or otherwise than this build's would."""


@dataclass(frozen=True)
class ServicePredictor:
    """One version of one model of a service. version: its address under /v2."""

    version: str
    classes: tuple[str, ...]
    pixels: PixelSpec
    max_size: int

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float64]:
        parts = [images[start : start + self.max_size] for start in range(0, len(images), self.max_size)]
        with (
            httpx.Client(timeout=_TIMEOUT_S, headers=authorization()) as client,
            ThreadPoolExecutor(_IN_FLIGHT) as pool,
        ):
            answers = pool.map(lambda part: self._logits(client, part), parts)
            return softmax(np.concatenate(list(answers)))

    def _logits(self, client: httpx.Client, images: NDArray[Any]) -> NDArray[np.float32]:
        head, body = _request(np.ascontiguousarray(images, dtype=self.pixels.dtype))
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = _answered(client, "POST", f"{self.version}/infer", content=head + body, headers=headers)
        skip = int(answer.headers.get("Inference-Header-Content-Length", 0))
        logits = np.frombuffer(answer.content, np.float32, offset=skip)
        if logits.size != len(images) * len(self.classes):
            raise UnexpectedAnswerError(f"{self.version} gave {logits.size} logits for {len(images)} images.")
        return logits.reshape(len(images), -1)


def service_predictor(target: str) -> ServicePredictor | None:
    """A predictor from a model's address, `http://host:port/v1/models/NAME[/versions/N]`; None for anything else.

    Without a version it is the newest that is ready. Raises UnexpectedAnswerError if no such service
    answers there.
    """
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https"):
        return None
    words = parts.path.strip("/").split("/")
    if words[:2] != ["v1", "models"] or len(words) not in (3, 5):
        raise UnexpectedAnswerError(
            f"{target} names no model. Give an address like http://127.0.0.1:8000/v1/models/NAME."
        )
    address = f"{parts.scheme}://{parts.netloc}"
    with httpx.Client(timeout=_TIMEOUT_S, headers=authorization()) as client:
        described = _answered(client, "GET", f"{address}/v1/models/{words[2]}")
    try:
        facts = next(_ready(described.json(), int(words[4]) if len(words) == 5 else None))
        spec, size = PixelSpec.model_validate(facts["pixels"]), int(facts["policy"]["max_size"])
        version = f"{address}/v2/models/{words[2]}/versions/{facts['version']}"
        return ServicePredictor(version, tuple(facts["labels"]), spec, size)
    except StopIteration as error:
        raise UnexpectedAnswerError(f"{target} has no such version that is ready.") from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise UnexpectedAnswerError(f"{target} does not describe its model as this build expects ({error}).") from error


def _ready(model: dict[str, Any], wanted: int | None) -> Iterator[dict[str, Any]]:
    """Versions that serve, the newest first."""
    ready = [version for version in model["versions"] if version["state"] == "ready"]
    ready = [version for version in ready if wanted in (None, version["version"])]
    return iter(sorted(ready, key=lambda version: -int(version["version"])))


def _request(images: NDArray[Any]) -> tuple[bytes, bytes]:
    """The JSON head and the binary body of one inference."""
    body = images.tobytes()
    tensor = {
        "name": "images",
        "shape": images.shape,
        "datatype": _DATATYPES[str(images.dtype)],
        "parameters": {"binary_data_size": len(body)},
    }
    outputs = [{"name": "logits", "parameters": {"binary_data": True}}]
    return json.dumps({"inputs": [tensor], "outputs": outputs}).encode(), body


def _answered(client: httpx.Client, method: str, url: str, **what: Any) -> httpx.Response:
    try:
        answer = client.request(method, url, **what)
    except httpx.HTTPError as error:
        raise UnexpectedAnswerError(f"{url} does not answer ({error}).") from error
    if answer.status_code == 401:
        raise UnexpectedAnswerError(f"{url} wants an API key, or another one: set {VARIABLE}.")
    if answer.status_code != 200:
        raise UnexpectedAnswerError(f"{url} answered {answer.status_code}: {answer.text[:200]}")
    return answer
