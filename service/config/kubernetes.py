"""What Kubernetes puts into the environment of every pod for a Service that is called `harmonic-serve`, or begins so.

HARMONIC_SERVE_SERVICE_HOST, HARMONIC_SERVE_PORT=tcp://10.0.0.7:8000, HARMONIC_SERVE_PORT_8000_TCP_ADDR: names with our
prefix that are no settings, and one that looks like one.
"""

import os
import re

_PREFIX = "HARMONIC_SERVE_"
_NAME = re.compile(
    r"(.+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)", re.DOTALL
)
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def injected(name: str, value: str) -> bool:
    """True if a variable with the prefix of the settings is one of a Service, by the shape of its name or value."""
    rest = name.removeprefix(_PREFIX)
    return bool(_NAME.fullmatch(rest)) or (rest.endswith("PORT") and bool(_ADDRESS.match(value)))


def injected_here() -> list[str]:
    """Names of such variables in this process's environment, sorted."""
    return sorted(name for name, value in os.environ.items() if name.startswith(_PREFIX) and injected(name, value))
