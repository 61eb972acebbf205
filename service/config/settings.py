"""Every setting of the service: frozen, read once at the edge, each default in one place.

A setting is an environment variable HARMONIC_SERVE_<NAME>, or a flag of `harmonic serve`, which wins.
"""

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from service.batching import BatchPolicy, CallLimits
from service.config.accelerators import Accelerators
from service.config.keys import Key, Keyring, read_keys
from service.config.kubernetes import injected
from service.config.limits import ConnectionLimits, Limits
from service.config.versions import PATTERN, VersionPolicy, version_policy
from service.runtime import Running, StemChoice

PREFIX = "HARMONIC_SERVE_"
_Size = Annotated[int, Field(ge=1)]
_Instances = Annotated[int, Field(ge=1, le=64)]
_Versions = Annotated[str, Field(pattern=PATTERN)]
_Levels = Annotated[int, Field(ge=1, le=64)]
_Milliseconds = Annotated[float, Field(ge=0, le=3_600_000)]
_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Port = Annotated[int, Field(ge=0, le=65535)]
_POLICY, _LIMITS, _CONNECTIONS, _CALLS = BatchPolicy(), Limits(), ConnectionLimits(), CallLimits()


class ModelSettings(BaseModel):
    """What one model has of its own, in its `config.toml` or in `policies`; the rest is as in the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_size: _Size | None = None
    window_ms: _Milliseconds | None = None
    max_queue: _Size | None = None
    deadline_ms: Annotated[float, Field(gt=0)] | None = None
    priority_levels: _Levels | None = None
    default_priority: _Levels | None = None
    instances: _Instances | None = None
    versions: _Versions | None = None
    stem: StemChoice | None = None


class _Environment(EnvSettingsSource):
    """The environment, without what Kubernetes tells of a Service of our name: HARMONIC_SERVE_PORT=tcp://..."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        if isinstance(value, str) and injected(PREFIX + field_name.upper(), value):
            value = None
        return value, key, is_complex


class Settings(Accelerators):
    """How the service runs; docs/settings.md is held to this class by a test."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then the environment."""
        return init_settings, _Environment(settings_cls)

    repository: Path = Field(Path("models"), description="Folder of the models: `<name>/<version>/`.")
    default_model: str | None = Field(None, description="Model of `/v1/classify`; unset: the only one there is.")
    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for every one.")
    port: _Port = Field(8000, description="Port to listen on; 0 takes a free one.")
    decode_threads: _Size | None = Field(
        None, description="Threads that decode images; unset: the CPUs this process may use."
    )
    versions: _Versions = Field(
        "all", description="Which versions serve: `all`, `latest` (the newest sound one), `latest:N`, or a list: `1,3`."
    )
    model_control: Literal["none", "poll", "explicit"] = Field(
        "none", description="`poll`: follow changes of the repository; `explicit`: load and unload on request."
    )
    poll_seconds: _Seconds = Field(5.0, description="Time between two looks at the repository, in seconds.")
    load_models: Annotated[str, Field(max_length=10_000)] | None = Field(
        None, description="Under `explicit` control: names of the models to load at the start, or `*` for every one."
    )
    max_batch: _Size = Field(_POLICY.max_size, description="Most images in one model call, and in one request.")
    window_ms: _Milliseconds = Field(
        _POLICY.window_ms, description="Longest wait for company while the model is idle, in milliseconds."
    )
    max_queue: _Size = Field(
        _POLICY.max_queue, description="Most images of a version that wait; one more is refused with 429."
    )
    deadline_ms: Annotated[float, Field(gt=0, le=3_600_000)] = Field(
        _POLICY.deadline_ms, description="Longest time from admission to answer, in milliseconds; then 504."
    )
    priority_levels: _Levels = Field(
        _POLICY.priority_levels, description="Levels of priority; 1 is the most urgent, and a request may name its own."
    )
    default_priority: _Levels = Field(
        _POLICY.default_priority, description="Level of a request that names none, or none that exists."
    )
    policies: dict[str, ModelSettings] = Field(
        default_factory=dict,
        description='JSON, batching of single models: `{"cifar10": {"max_size": 64, "window_ms": 2}}`.',
    )
    call_failures: _Size = Field(
        _CALLS.failures,
        description="Model calls in a row that may fail before an instance must answer a golden image to go on.",
    )
    call_seconds: _Seconds = Field(
        _CALLS.call_seconds,
        description="Longest time of one model call, in seconds; beyond it the instance is taken for hung.",
    )
    body_bytes: _Size = Field(_LIMITS.body_bytes, description="Most bytes of a request's body; more is a 413.")
    body_seconds: _Seconds = Field(
        _LIMITS.body_seconds, description="Longest time for a body to arrive, in seconds; then 408."
    )
    buffered_bytes: _Size = Field(
        512 * 2**20, description="Most bytes of all bodies held at once; beyond it new ones get 429."
    )
    image_pixels: Annotated[int, Field(ge=1, le=89_478_485)] = Field(
        _LIMITS.pixels,
        description="Most pixels of an image, as its header declares them; more is a 413 before any is decoded.",
    )
    images_per_request: _Size = Field(_LIMITS.images, description="Most images in one request; more is a 400.")
    decode_seconds: _Seconds = Field(
        _LIMITS.decode_seconds, description="Most CPU time that decoding one image may take, in seconds; then 422."
    )
    decoded_bytes: Annotated[int, Field(ge=2**24)] = Field(
        _LIMITS.decoded_bytes,
        description="Memory set aside for decoding large images, all together, in bytes; others wait for room.",
    )
    json_bytes: _Size = Field(
        _LIMITS.json_bytes,
        description="Most bytes of JSON in an inference request; more is a 413. Binary data are free.",
    )
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        5.0,
        description="After SIGTERM: seconds for which requests are still served; then the port closes.",
    )
    grace_seconds: _Seconds = Field(
        30.0, description="Once the port is closed: longest time for requests in flight, in seconds."
    )
    connections: _Size = Field(
        _CONNECTIONS.connections,
        description="Most connections at once; beyond it the longest idle one is closed for a new one.",
    )
    head_bytes: Annotated[int, Field(ge=1024, le=2**20)] = Field(
        _CONNECTIONS.head_bytes, description="Most bytes of a request's line and headers; more is a 431."
    )
    head_seconds: _Seconds = Field(
        _CONNECTIONS.head_seconds, description="Longest time for a request's head to arrive, in seconds; then 408."
    )
    write_seconds: _Seconds = Field(
        _CONNECTIONS.write_seconds, description="How long a caller may leave an answer unread, in seconds."
    )
    keys_file: Path | None = Field(None, description="TOML file of API keys, as `harmonic key` writes them.")
    keys: Annotated[tuple[Key, ...], Field(min_length=1)] | None = Field(
        None, description='JSON, API keys beside those of the file: `[{"name": "ci", "sha256": "..."}]`.'
    )
    cors_origins: tuple[str, ...] = Field(
        (), description='JSON, origins whose pages may ask this service: `["https://example.org"]`; none by default.'
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="JSON, names beside localhost under which a service that only this machine reaches, without keys "
        'or TLS, may be asked: `["models.example.org"]`.',
    )
    tls_cert: Path | None = Field(None, description="PEM file of the certificate and its chain; turns TLS on.")
    tls_key: Path | None = Field(None, description="PEM file of the certificate's private key.")
    admin_port: _Port | None = Field(
        None, description="Port for `/livez`, `/readyz` and `/metrics`, without keys or TLS; `/metrics` leaves `port`."
    )
    admin_host: str = Field("127.0.0.1", description="Address that `admin_port` listens on.")
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        20, description="How long an idle connection is kept, in seconds."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe message that is logged."
    )
    log_format: Literal["text", "json"] = Field("text", description="Log lines for people, or a JSON object a line.")
    access_log: bool = Field(False, description="Log a line for every request.")
    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = Field(
        None, description="Address of an OpenTelemetry collector that takes traces over HTTP; unset: no spans."
    )

    def policy(self, model: str, own: ModelSettings | None = None) -> BatchPolicy:
        """The batching policy of a model: the common one, then what the model has of its own, then `policies`."""
        policy = BatchPolicy(
            self.max_batch,
            self.window_ms,
            self.max_queue,
            self.deadline_ms,
            self.priority_levels,
            self.default_priority,
        )
        changes: dict[str, Any] = {}
        for source in (own, self.policies.get(model)):
            if source is not None:
                changes |= source.model_dump(exclude_none=True, exclude={"instances", "versions", "stem"})
        return replace(policy, **changes)

    def instances_of(self, model: str, own: ModelSettings) -> int:
        """How many sessions each version of a model gets."""
        return self._last_word(model).instances or own.instances or self.instances

    def versions_of(self, model: str, own: ModelSettings) -> VersionPolicy:
        """Which versions of a model serve."""
        return version_policy(self._last_word(model).versions or own.versions or self.versions)

    def running_of(self, model: str, own: ModelSettings) -> Running:
        """Which variant of a model runs, and whether its norm may move."""
        return Running(self._last_word(model).stem or own.stem or self.stem, self.adapt_images)

    def _last_word(self, model: str) -> ModelSettings:
        return self.policies.get(model) or ModelSettings()

    def limits(self) -> Limits:
        """What one request may bring."""
        return Limits(
            body_bytes=self.body_bytes,
            body_seconds=self.body_seconds,
            pixels=self.image_pixels,
            images=self.images_per_request,
            decode_seconds=self.decode_seconds,
            decoded_bytes=self.decoded_bytes,
            json_bytes=self.json_bytes,
        )

    def call_limits(self) -> CallLimits:
        """What model calls may do before an instance takes no more work."""
        return CallLimits(self.call_failures, self.call_seconds)

    def connection_limits(self) -> ConnectionLimits:
        """What one connection may take."""
        return ConnectionLimits(
            connections=self.connections,
            head_bytes=self.head_bytes,
            head_seconds=self.head_seconds,
            write_seconds=self.write_seconds,
        )

    def private(self) -> bool:
        """True if only this machine can reach the service."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:  # a name
            return False

    def hosts(self) -> tuple[str, ...] | None:
        """Names that a request's Host may have beside localhost; None where any will do.

        Only a service on loopback knows what it is called; a key, or a certificate, is what a page has not got.
        """
        return self.allowed_hosts if self.private() and not self.keyring() and self.tls_cert is None else None

    def keyring(self) -> Keyring:
        """The API keys of file and environment; reads the file. Raises StartError."""
        return Keyring([*(read_keys(self.keys_file) if self.keys_file else ()), *(self.keys or ())])
