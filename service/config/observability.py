"""Settings of what the service says of itself. Part of the service's settings."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from service.config.fields import setting


class Observability(BaseSettings):
    """Log and traces."""

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "Least severe message that is logged: `debug`, `info`, `warning`, `error`.", flag=True
    )
    log_format: Literal["text", "json"] = setting("text", "`text` for people, `json` for an object a line.", flag=True)
    access_log: bool = setting(False, "Log a line for every request.", flag=True)
    otlp_endpoint: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = setting(
        None,
        "Address of an OpenTelemetry collector that takes traces over HTTP, like "
        "`http://collector:4318/v1/traces`; needs the extra `otel`. Unset: no spans.",
    )
