"""What one step of a load is: where to, which requests, how fast or by how many callers, for how long.

Knows nothing of images or of what an answer says: requests are bytes.
"""

import math
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from harmonic.errors import HarmonicError

TLS_PORT, PLAIN_PORT = 443, 80


class LoadError(HarmonicError):
    """A load that cannot be made: an address, a body, a service that does not answer as it should."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests go."""

    host: str
    port: int
    tls: bool
    path: str

    @property
    def origin(self) -> str:
        """The address without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' * self.tls}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class OpenPace:
    """Requests come by themselves, at random (Poisson), so many a second, whatever becomes of those before them."""

    rate: float

    def share(self, number: int, processes: int) -> "OpenPace":
        """What one of several processes does: independent Poisson arrivals add up to Poisson arrivals."""
        return OpenPace(self.rate / processes)

    def __str__(self) -> str:
        return f"{self.rate:g} requests/s"


@dataclass(frozen=True, slots=True)
class ClosedPace:
    """Each caller sends its next request when its last one is answered."""

    callers: int

    def share(self, number: int, processes: int) -> "ClosedPace":
        """What one of several processes does."""
        return ClosedPace(_part(self.callers, number, processes))

    def __str__(self) -> str:
        return f"{self.callers} caller{'s' * (self.callers != 1)}"


Pace = OpenPace | ClosedPace


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """One step. Nothing is measured in the warm-up, which comes before the seconds.

    seconds: None, where a number of requests is the end of it. timeout_s: from the intended moment of a request.
    connections: the most at once of an open load.
    """

    address: Address
    requests: tuple[bytes, ...]
    pace: Pace
    seconds: float | None = 10.0
    warm_up_s: float = 1.0
    most_requests: int | None = None
    timeout_s: float = 10.0
    connections: int = 256
    seed: int = 0
    check_every: int = 64  # one answer of so many is read, and not only counted

    def share(self, number: int, processes: int) -> "LoadPlan":
        """What process `number` of several does."""
        busy = min(processes, self.pace.callers) if isinstance(self.pace, ClosedPace) else processes
        most = self.most_requests
        if most is not None:
            most = _part(most, number, busy) if number < busy else 0  # nothing for one without a caller
        return replace(
            self,
            pace=self.pace.share(number, processes),
            most_requests=most,
            connections=math.ceil(self.connections / processes),
            seed=self.seed * 1000 + number,
        )


def read_address(url: str) -> Address:
    """Raises LoadError for anything but http:// and https://."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError as error:
        raise LoadError(f"{url}: {error}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LoadError(f"{url} is no address of a service. Give one like http://127.0.0.1:8000.")
    tls = parts.scheme == "https"
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return Address(parts.hostname, port or (TLS_PORT if tls else PLAIN_PORT), tls, path if path != "/" else "")


def _part(whole: int, number: int, processes: int) -> int:
    return whole // processes + (number < whole % processes)
