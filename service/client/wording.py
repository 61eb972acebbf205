"""What is asked, as requests: addresses, queries, bodies. Knows no sockets."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import PixelError
from service.client.errors import ClientError
from service.client.pictures import body
from service.client.replies import HEAD_LENGTH
from service.client.talk import Message

_DATATYPES = {"uint8": "UINT8", "float32": "FP32"}
Write = Callable[[float], Message]


class Wording:
    """Requests to one service. Raises ClientError for what is no address of one."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ClientError(f"{url[:200]!r} is no service's address; give one like http://127.0.0.1:8000.")
        if parts.username is not None or parts.password is not None:
            raise ClientError("the address has a user or a password in it; give the key by itself.")
        self.base = url.rstrip("/")

    def get(self, path: str) -> Write:
        """What is read."""
        return lambda _: Message("GET", self.base + path)

    def described(self, model: str | None) -> Write:
        """What the service says of one model, or of all."""
        return self.get("/v1/models" + (f"/{quote(model, safe='')}" if model else ""))

    def classify(self, images: Sequence[bytes], top: int, model: str | None, version: int | None) -> Write:
        """Encoded images to be classified."""
        if top < 1:
            raise ClientError(f"top is {top}; it wants a whole number from 1.")
        if version is not None and not model:
            raise ClientError(f"version {version} of which model? Name the model too.")
        path = f"/v1{self._place(model, version)}/classify" if model else "/v1/classify"
        content, kind = body(images)

        def write(seconds: float) -> Message:
            query = f"?top_k={top}&timeout_ms={max(1, int(seconds * 1000))}"
            return Message("POST", self.base + path + query, content, {"Content-Type": kind})

        return write

    def infer(self, rows: NDArray[Any], model: str, version: int | None) -> Write:
        """Rows of a model's own input, to be answered with logits, both in binary."""
        pixels = np.ascontiguousarray(rows).tobytes()
        tensor = {
            "name": "images",
            "shape": rows.shape,
            "datatype": _DATATYPES[rows.dtype.name],
            "parameters": {"binary_data_size": len(pixels)},
        }
        url = f"{self.base}/v2{self._place(model, version)}/infer"

        def write(seconds: float) -> Message:
            head = json.dumps(
                {
                    "inputs": [tensor],
                    "outputs": [{"name": "logits", "parameters": {"binary_data": True}}],
                    "parameters": {"timeout": max(1, int(seconds * 1e6))},
                }
            ).encode()
            return Message("POST", url, head + pixels, {HEAD_LENGTH: str(len(head))})

        return write

    def _place(self, model: str, version: int | None) -> str:
        return f"/models/{quote(model, safe='')}" + (f"/versions/{version}" if version is not None else "")


def check_rows(rows: NDArray[Any]) -> None:
    """Raise PixelError for what can be no model's input."""
    if rows.dtype.name not in _DATATYPES or rows.ndim != 4 or not rows.size:
        raise PixelError(
            f"an array {rows.shape} of {rows.dtype} is no input of a model: wanted (images, height, width, channels), "
            "uint8 or float32."
        )
