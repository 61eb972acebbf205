"""How each model is to be served: the common settings, its own `config.toml`, and the operator's last word."""

from pathlib import Path

from export.repository import checked_name
from service.config.model_config import CONFIG, ModelSettings, Plan, PlanError, read_own
from service.config.settings import Settings
from service.config.sizes import ON_CPU, ON_CUDA
from service.config.versions import version_policy
from service.errors import ServiceError
from service.runtime import Running, read_precisions


def plan(settings: Settings, name: str, own: ModelSettings | None = None, on_cuda: bool = False) -> Plan:
    """Settings, then what the model has of its own, then its entry in the setting `policies`: the last one wins.

    on_cuda: where sessions run, which decides what is not said anywhere.
    Raises StartError for what contradicts itself.
    """
    suited = ON_CUDA if on_cuda else ON_CPU
    common = Plan(
        settings.policy(suited),
        settings.instances or suited.instances,
        version_policy(settings.versions),
        Running(settings.stem, settings.adapt_images, read_precisions(settings.precision)),
    )
    nothing = ModelSettings()
    return common.with_own(own or nothing, settings.policies.get(name, nothing))


def read_plan(root: Path, name: str, settings: Settings, on_cuda: bool = False) -> Plan:
    """The plan of a model of the repository, on that kind of device.

    Raises PlanError naming its file for what is unreadable or impossible.
    """
    own = read_own(root, name)
    try:
        return plan(settings, name, own, on_cuda)
    except ServiceError as error:
        raise PlanError(f"{root / checked_name(name) / CONFIG}: {error.message}") from error
