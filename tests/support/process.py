"""The installed command in processes of their own, for whole journeys."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HARMONIC = shutil.which("harmonic", path=str(Path(sys.executable).parent)) or "harmonic"
PATIENCE_S = 60


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**settings: str) -> dict[str, str]:
    """This process's environment with no service settings but these."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HARMONIC_SERVE_")}
    return inherited | {f"HARMONIC_SERVE_{name.upper()}": value for name, value in settings.items()}


@contextmanager
def serving(repository: Path, *flags: str, **settings: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A service on a free port with its models loaded: its address and its process, which is killed at the end."""
    with starting(repository, *flags, **settings) as process:
        yield address(process), process


@contextmanager
def starting(repository: Path, *flags: str, **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """A service on a free port from its first moment; killed at the end if it still runs."""
    command = [HARMONIC, "serve", "--repository", str(repository), "--port", "0", *flags]
    process = subprocess.Popen(command, env=environment(**settings), stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def let_it_talk(process: "subprocess.Popen[str]") -> None:
    """Read what it says from now on, and forget it: a process whose words nobody takes stops when the pipe is full."""
    assert process.stderr is not None
    threading.Thread(target=process.stderr.read, daemon=True).start()


def address(process: "subprocess.Popen[str]") -> str:
    """Where it listens, once its models are loaded."""
    url = bound(process)
    said = []
    for line in process.stderr or ():
        said.append(line)
        if re.search(r"\d versions? ready", line):
            return url
    pytest.fail(f"the service did not load its models: {''.join(said)}")


def bound(process: "subprocess.Popen[str]") -> str:
    """Where it listens, as it says itself as soon as it does."""
    said = []
    for line in process.stderr or ():
        said.append(line)
        if found := re.search(r"running on (https?://[0-9.]+:\d+)", line):
            return found[1]
    pytest.fail(f"the service did not start: {''.join(said)}")


def run(*arguments: object, **settings: str) -> "subprocess.CompletedProcess[str]":
    """A command that ends by itself."""
    return subprocess.run(
        [HARMONIC, *map(str, arguments)],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE_S,
        check=False,
    )


def memory_bytes(pid: int) -> int:
    """How much memory a process holds now."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
