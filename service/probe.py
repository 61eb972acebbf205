"""Is the service of this machine ready? `python -m service.probe` ends with 0 if it is, else with 1 and the reason.

It asks where the settings say that it listens: those of the environment, and in a container the flags that its first
process was started with. Nothing secret is sent, and a certificate is for others to check.
"""

import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer.main

from service.cli import serve
from service.config import Settings, read_settings
from service.http import address_of

_SECONDS = 4
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - to ask, not to listen


def flags_of(command: Sequence[str]) -> dict[str, Any]:
    """The settings that a command line gives as flags of `serve`; none if it is another command."""
    if "serve" not in command:
        return {}
    app = typer.Typer(add_completion=False)
    app.command()(serve)
    words = list(command[list(command).index("serve") + 1 :])
    context = typer.main.get_command(app).make_context("serve", words, resilient_parsing=True)
    return {name: value for name, value in context.params.items() if value is not None}


def address(settings: Settings) -> str:
    """Where a service with these settings answers its own machine."""
    return address_of(_EVERYWHERE.get(settings.host, settings.host), settings.port, settings.tls_cert is not None)


def ask(url: str) -> None:
    """Raise OSError if the service is not ready, or not there."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    with direct.open(f"{url}/readyz", timeout=_SECONDS):
        pass


def main() -> None:
    """Ask, with the flags of process 1 where it serves."""
    command = Path("/proc/1/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    url = address(read_settings(flags_of(command)))
    try:
        ask(url)
    except OSError as error:  # urllib's are too
        sys.exit(f"{url}: {error}")


if __name__ == "__main__":
    main()
