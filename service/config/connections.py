"""Settings of connections, and of how they end. Part of the service's settings."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from service.config.fields import Count, Seconds, setting
from service.config.limits import ConnectionLimits

_LIMITS = ConnectionLimits()


class Connections(BaseSettings):
    """Connections and the end of the service."""

    connections: Count = setting(
        _LIMITS.connections,
        "Most connections at once. For one more, the one that has been idle longest is closed; if none is idle, the "
        "new one gets 503. Lowered to what the limit on open files leaves room for.",
    )
    head_bytes: Annotated[int, Field(ge=1024, le=2**20)] = setting(
        _LIMITS.head_bytes,
        f"Most bytes of a request's line and headers, and at most {_LIMITS.headers} headers; more is a 431.",
    )
    head_seconds: Seconds = setting(
        _LIMITS.head_seconds, "Longest time for a request's head to arrive, in seconds; then 408."
    )
    write_seconds: Seconds = setting(
        _LIMITS.write_seconds,
        "How long a caller may leave an answer unread before the connection is cut, in seconds.",
    )
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = setting(
        20, "How long an idle connection is kept, in seconds."
    )
    drain_seconds: Annotated[float, Field(ge=0, le=3600)] = setting(
        5.0,
        "After SIGTERM: seconds for which requests are still served though `/readyz` says 503; then the port closes: "
        "[signals](operations.md#signals).",
    )
    grace_seconds: Seconds = setting(30.0, "Once the port is closed: longest time for requests in flight, in seconds.")

    def connection_limits(self) -> ConnectionLimits:
        """What one connection may take."""
        return ConnectionLimits(
            connections=self.connections,
            head_bytes=self.head_bytes,
            head_seconds=self.head_seconds,
            write_seconds=self.write_seconds,
        )
