"""How one model is to be served: the common settings, its own `config.toml`, and the operator's last word.

`<repository>/<name>/config.toml` lies beside the versions and travels with the model.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from export.repository import checked_name
from service.batching import BatchPolicy
from service.config.settings import ModelSettings, Settings
from service.config.versions import VersionPolicy
from service.errors import ServiceError
from service.runtime import AS_EXPORTED, Running

CONFIG = "config.toml"
_MOST_BYTES = 64 * 1024


class PlanError(ServiceError):
    """A model's `config.toml` that cannot be followed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a model gets. instances: sessions of each version. versions: which of them serve. running: in which form."""

    policy: BatchPolicy
    instances: int
    versions: VersionPolicy
    running: Running = AS_EXPORTED


def read_plan(root: Path, name: str, settings: Settings) -> Plan:
    """Settings, then the model's own file, then the model's entry in the setting `policies`: the last one wins.

    Raises PlanError naming the file for what is unreadable, unknown or impossible.
    """
    path = root / checked_name(name) / CONFIG
    own = _read(path)
    try:
        return Plan(
            settings.policy(name, own),
            settings.instances_of(name, own),
            settings.versions_of(name, own),
            settings.running_of(name, own),
        )
    except ServiceError as error:
        raise PlanError(f"{path}: {error.message}") from error


def _read(path: Path) -> ModelSettings:
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
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise PlanError(f"{path}: {where}: {problem['msg']}") from error
    except ValueError as error:  # no UTF-8, or no TOML
        raise PlanError(f"{path}: {error}") from error
