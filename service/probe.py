"""Is the service of this machine ready? `harmonic health` ends with 0 if it is, else with 1 and the reason.

It asks where the settings say that it listens: those of the environment, and in a container the flags that its first
process was started with. Nothing secret is sent, and a certificate is for others to check.
"""

import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.config import Settings, read_settings
from service.flags import FlagsOfSettings

_SECONDS = 4
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - to ask, not to listen


def flags_of(command: Sequence[str]) -> dict[str, Any]:
    """The settings that a command line gives as flags of `serve`; none if it is another command."""
    if "serve" not in command:
        return {}
    words = list(command[list(command).index("serve") + 1 :])
    context = FlagsOfSettings("serve").make_context("serve", words, resilient_parsing=True)
    return {name: value for name, value in context.params.items() if value is not None}


def address(settings: Settings) -> str:
    """Where a service with these settings answers its own machine."""
    return settings.url(_EVERYWHERE.get(settings.host))


def ask(url: str) -> None:
    """Raise OSError if the service is not ready, or not there."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with direct.open(f"{url}/readyz", timeout=_SECONDS):
        pass


def report(flags: Mapping[str, Any]) -> str:
    """Ask where these flags say, else those of process 1 where it serves; a line if it is ready.

    Raises SystemExit, with status 1 and the reason, if it is not.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    url = address(read_settings(flags_of(_first_command()) | given))
    try:
        ask(url)
    except OSError as error:  # urllib's are too
        sys.exit(f"{url}: {error}")
    return f"{url} is ready"


def _first_command() -> list[str]:
    """The command line of process 1; empty where it is not to be seen."""
    try:
        return Path("/proc/1/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:  # no Linux, or hidden
        return []


if __name__ == "__main__":
    report({})
