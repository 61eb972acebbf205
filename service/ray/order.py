"""What is to be deployed: a repository, how many replicas, what each of them takes, which settings. No cluster yet."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from export.errors import ExportError
from export.repository import model_names
from service.config import Plan, Settings, plan, read_plan, read_settings
from service.errors import StartError

AUTO = (1, 16)  # replicas
_MOST_INSTANCES = 4  # that a model takes on a CPU where nobody says how many
_ASIDE = 64  # requests at once that wait for no model: bodies on their way, probes, control
_LAST_SECONDS = 5.0


class RayOrder(BaseModel):
    """What `harmonic deploy ray` and `args` of a file for `serve deploy` say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: Annotated[Path, Field(description="Folder of the models, at the same path on every machine.")]
    replicas: Annotated[
        int | str,
        Field(description="A number, or least and most as `2-8`, or `auto`: 1-16. Between them, by images waiting."),
    ] = "auto"
    cpus: Annotated[float, Field(gt=0, description="CPUs of each replica; its threads too.")] = 1.0
    gpus: Annotated[float, Field(ge=0, description="GPUs of each replica; 0.25 is a quarter of one.")] = 0.0
    images_waiting: Annotated[float, Field(gt=0, description="Images waiting in each replica that are aimed at.")] = (
        16.0
    )
    settings: Annotated[dict[str, Any], Field(description="Settings of the service, by their names.")] = {}

    def replica_settings(self) -> Settings:
        """The settings of each replica. Raises StartError for those that have no meaning there."""
        if "repository" in self.settings:
            raise StartError("the repository is named beside the settings, not among them.")
        settings = read_settings({"repository": self.repository.absolute(), **self.settings})
        _check(settings)
        threads = max(1, math.floor(self.cpus))
        return settings.model_copy(
            update={
                "workers": "1",
                "owner": "never",
                "device": self._device(settings.device),
                "threads": settings.threads or threads,
                "decode_threads": settings.decode_threads or threads,
            }
        )

    def bounds(self) -> tuple[int, int]:
        """Fewest and most replicas. Raises StartError for what is neither."""
        if self.replicas == "auto":
            return AUTO
        least, dash, most = str(self.replicas).partition("-")
        try:
            found = int(least), int(most if dash else least)
        except ValueError:
            found = 0, 0
        if not 1 <= found[0] <= found[1]:
            raise StartError(f"replicas is {self.replicas!r}: it wants auto, a number, or least and most as 2-8.")
        return found

    def _device(self, asked: str) -> str:
        """A GPU is used if it was asked for, and then it must be there: Ray gives it away by this."""
        if asked.startswith("cuda") and not self.gpus:
            raise StartError(
                f"device is {asked}, and a replica has no GPU: say how many, like --gpus 1 or --gpus 0.25."
            )
        if asked == "auto":
            return "cuda" if self.gpus else "cpu"
        if asked == "cpu" and self.gpus:
            raise StartError("device is cpu, and a replica has GPUs: leave one of them out.")
        return asked


def most_ongoing(settings: Settings) -> int:
    """Requests that one replica has at once, at most: more than its queues and calls hold, so that the answer to one
    too many is the service's own, at once. Where a model comes later, Ray makes the rest wait."""
    on_cuda = settings.device.startswith("cuda")
    return _ASIDE + sum(
        one.policy.max_queue + one.policy.max_size * (one.instances or _MOST_INSTANCES)
        for one in _plans(settings, on_cuda)
    )


def shutdown_seconds(settings: Settings) -> float:
    """How long a replica may take to end: longer than its requests in flight may."""
    return settings.drain_seconds + settings.grace_seconds + _LAST_SECONDS


def read_words(words: Iterable[str]) -> dict[str, Any]:
    """Settings as NAME=VALUE of a command line. A value that begins like JSON is JSON. Raises StartError."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in Settings.model_fields:
            raise StartError(f"--set {word}: it wants NAME=VALUE of a setting; docs/settings.md lists them.")
        try:
            found[name] = json.loads(value) if value[:1] in {"{", "["} else value
        except ValueError as error:
            raise StartError(f"--set {name}: {error}. It wants JSON, as in docs/settings.md.") from None
    return found


def _plans(settings: Settings, on_cuda: bool) -> list[Plan]:
    try:
        names = model_names(settings.repository)
    except ExportError as error:
        raise StartError(f"{error} Every machine of the cluster wants the repository at this path.") from error
    return [read_plan(settings.repository, name, settings, on_cuda) for name in names] or [plan(settings, "", None)]


def _check(settings: Settings) -> None:
    """Refuse what a replica of Ray Serve cannot have."""
    unfit: list[tuple[Literal["workers", "owner", "admin_port", "tls_cert", "port"], bool, str]] = [
        ("workers", settings.workers != "1", "replicas are the processes: say how many with --replicas"),
        ("owner", settings.owner == "always", "each replica has its own models"),
        ("admin_port", settings.admin_port is not None, "replicas have one port, which is Ray's; /metrics is there"),
        ("tls_cert", settings.tls_cert is not None, "Ray's proxy speaks HTTP: put what ends TLS in front of it"),
    ]
    for name, wrong, why in unfit:
        if wrong:
            raise StartError(f"the setting {name} has no meaning in a replica: {why}.")
