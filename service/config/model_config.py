"""What one model has of its own: its `config.toml` beside its versions, and how that is laid over what all have.

`<repository>/<name>/config.toml` travels with the model. Knows nothing of the service's other settings.
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from export.repository import checked_name
from harmonic.errors import sentence
from service.batching import BatchPolicy
from service.config.fields import Count, Milliseconds
from service.config.versions import PATTERN, VersionPolicy, version_policy
from service.errors import ServiceError
from service.runtime import AS_EXPORTED, PRECISIONS, Running, StemChoice, read_precisions

CONFIG = "config.toml"
Level = Annotated[int, Field(ge=1, le=64)]
_MOST_BYTES = 64 * 1024


class PlanError(ServiceError):
    """A model's `config.toml` that cannot be followed."""


class ModelSettings(BaseModel):
    """What one model has of its own, in its `config.toml` or in `policies`; the rest is as in the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_size: Count | None = None
    window_ms: Milliseconds | None = None
    max_queue: Count | None = None
    deadline_ms: Annotated[float, Field(gt=0)] | None = None
    priority_levels: Level | None = None
    default_priority: Level | None = None
    instances: Annotated[int, Field(ge=1, le=64)] | None = None
    versions: Annotated[str, Field(pattern=PATTERN)] | None = None
    stem: StemChoice | None = None
    precision: Annotated[str, Field(pattern=PRECISIONS)] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a model gets. instances: sessions of each version; None to choose by measurement. versions: which of them
    serve. running: in which form."""

    policy: BatchPolicy
    instances: int | None
    versions: VersionPolicy
    running: Running = AS_EXPORTED

    def with_own(self, *own: ModelSettings) -> "Plan":
        """The same with what a model has of its own; the last one wins. Raises StartError for what contradicts."""
        said: dict[str, Any] = {}
        for one in own:
            said |= one.model_dump(exclude_none=True)
        return Plan(
            instances=said.pop("instances", self.instances),
            versions=version_policy(said.pop("versions")) if "versions" in said else self.versions,
            running=replace(
                self.running,
                stem=said.pop("stem", self.running.stem),
                precisions=read_precisions(said.pop("precision")) if "precision" in said else self.running.precisions,
            ),
            policy=replace(self.policy, **said),
        )


def read_own(root: Path, name: str) -> ModelSettings:
    """What a model's own file says; nothing where it has none. Raises PlanError for a file that cannot be read."""
    path = root / checked_name(name) / CONFIG
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return ModelSettings()
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > _MOST_BYTES:
        raise PlanError(f"{path}: larger than {_MOST_BYTES} bytes")
    try:
        return ModelSettings.model_validate(tomllib.loads(data.decode()))
    except ValidationError as error:
        raise PlanError(f"{path}: {sentence(error)}") from error
    except ValueError as error:  # no UTF-8, or no TOML
        raise PlanError(f"{path}: {error}") from error
