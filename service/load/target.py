"""What a load asks the service besides: which model, what it wants, and its own counts before and after.

Our routes, and those of the Open Inference Protocol with Triton's statistics.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import httpx

from service.load.bodies import Body, Input
from service.load.plan import Address, LoadError

_TIMEOUT_S = 10.0
_ENCODED = Input("image_bytes", "BYTES", (-1,))  # what our own service takes besides its model's own input


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the service's start. queue: (requests, nanoseconds); batches: calls by their number of images."""

    queue: tuple[int, int] = (0, 0)
    compute: tuple[int, int] = (0, 0)
    batches: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Insight:
    """What the service says of one step itself; times are means."""

    batches: dict[int, int]
    mean_batch: float
    queue_ms: float
    compute_ms: float


class Target:
    """One service, asked in passing. Raises LoadError where it does not answer as it must."""

    def __init__(self, address: Address, client: httpx.Client) -> None:
        self._address, self._client = address, client

    def place(self, body: Body, model: str | None) -> Address:
        """Where requests of this form go: where the URL's path says, if it has one."""
        if self._address.path:
            return self._address
        if body.infers:
            return replace(self._address, path=f"/v2/models/{quote(model or self._only_model())}/infer")
        return replace(self._address, path=f"/v1/models/{quote(model)}/classify" if model else "/v1/classify")

    def wanted(self, place: Address, body: Body) -> Input | None:
        """The input that requests of this form fill."""
        if not body.infers:
            return None
        described = self._json("GET", place.path.removesuffix("/infer"))
        try:
            inputs = [
                Input(each["name"], each["datatype"], tuple(map(int, each["shape"]))) for each in described["inputs"]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise LoadError(f"{self._address.origin} does not say what the model's inputs are ({error!r}).") from error
        encoded = body is Body.encoded
        fitting = [each for each in inputs if (each.datatype == "BYTES") == encoded]
        if not fitting and encoded and "image_bytes" in self._json("GET", "/v2").get("extensions", ()):
            return _ENCODED
        if not fitting:
            raise LoadError(f"the model has no input for --body {body}; it has {', '.join(map(str, inputs))}.")
        return fitting[0]

    def counts(self) -> Counts | None:
        """Of all its models together; None for a service that does not count in this way."""
        try:
            answer = self._client.get(f"{self._address.origin}/v2/models/stats")
            return _counted(answer.json()["model_stats"]) if answer.is_success else None
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    def _only_model(self) -> str:
        index = self._json("POST", "/v2/repository/index", {"ready": True})
        names = sorted({str(each["name"]) for each in index})
        if len(names) != 1:
            raise LoadError(
                f"{self._address.origin} has {len(names)} models: {', '.join(names)}. Say which: --model NAME."
            )
        return names[0]

    def _json(self, method: str, path: str, said: object = None) -> Any:
        url = self._address.origin + path
        try:
            answer = self._client.request(method, url, json=said)
        except httpx.HTTPError as error:
            raise LoadError(f"{url}: {error or type(error).__name__}. Is the service running?") from error
        if not answer.is_success:
            raise LoadError(f"{url} answered {answer.status_code}: {answer.text[:200]}")
        try:
            return answer.json()
        except ValueError as error:
            raise LoadError(f"{url} answered something that is no JSON; is the URL right?") from error


@contextmanager
def target_at(address: Address, headers: Mapping[str, str]) -> Iterator[Target]:
    """The service at an address, asked with these headers."""
    with httpx.Client(timeout=_TIMEOUT_S, headers=dict(headers)) as client:
        yield Target(address, client)


def insight(before: Counts | None, after: Counts | None) -> Insight | None:
    """What happened between two counts; None if nothing did, or nobody counted."""
    if before is None or after is None:
        return None
    grown = {size: count - before.batches.get(size, 0) for size, count in after.batches.items()}
    batches = {size: count for size, count in sorted(grown.items()) if count > 0}
    calls = sum(batches.values())
    if not calls:
        return None
    images = sum(size * count for size, count in batches.items())
    return Insight(batches, images / calls, _mean(before.queue, after.queue), _mean(before.compute, after.compute))


def _mean(before: tuple[int, int], after: tuple[int, int]) -> float:
    count = after[0] - before[0]
    return (after[1] - before[1]) / count / 1e6 if count > 0 else 0.0


def _counted(models: list[dict[str, Any]]) -> Counts:
    batches: dict[int, int] = {}
    totals = {"queue": [0, 0], "compute_infer": [0, 0]}
    for model in models:
        for name, total in totals.items():
            found = model["inference_stats"][name]
            total[0] += int(found["count"])
            total[1] += int(found["ns"])
        for batch in model.get("batch_stats", ()):
            size = int(batch["batch_size"])
            batches[size] = batches.get(size, 0) + int(batch["compute_infer"]["count"])
    queue, compute = totals.values()
    return Counts((queue[0], queue[1]), (compute[0], compute[1]), batches)
