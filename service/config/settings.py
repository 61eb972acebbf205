"""Every setting of the service: frozen, read once at the edge, each default in one place.

A setting is an environment variable HARMONIC_SERVE_<NAME>, or a flag of `harmonic serve`, which wins. The sections
declare the settings, and each makes of its own what other rooms want to know.
"""

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from service.config.accelerators import Accelerators
from service.config.batching import Batching
from service.config.connections import Connections
from service.config.fields import PREFIX
from service.config.kubernetes import injected
from service.config.models import Models
from service.config.network import Network
from service.config.observability import Observability
from service.config.requests import Requests

# In the order in which docs/settings.md and `harmonic serve --help` show them.
SECTIONS: tuple[type[BaseSettings], ...] = (
    Models,
    Network,
    Accelerators,
    Batching,
    Requests,
    Connections,
    Observability,
)


class _Environment(EnvSettingsSource):
    """The environment, without what Kubernetes tells of a Service of our name: HARMONIC_SERVE_PORT=tcp://..."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        if isinstance(value, str) and injected(PREFIX + field_name.upper(), value):
            value = None
        return value, key, is_complex


class Settings(Observability, Connections, Requests, Batching, Accelerators, Network, Models):
    """How the service runs. The fields of the last base come first."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then the environment."""
        return init_settings, _Environment(settings_cls)
