"""Workers and owners are started here: as copies of the seed where there is one, else as new interpreters."""

import logging
import os
import subprocess
import sys
from typing import Protocol

from service.config import PREFIX
from service.processes.seed import OWNER, WORKER, Seed

log = logging.getLogger(__name__)


class Process(Protocol):
    """A process that was started, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    def poll(self) -> int | None:
        """How it ended; None while it lives."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, once it has. Raises TimeoutExpired."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Starter:
    """Starts them. seed: None where there is none."""

    def __init__(self, seed: Seed | None) -> None:
        self._seed = seed

    def start(self, owner: bool, files: tuple[int, int]) -> Process:
        """A worker, or an owner, with its two sockets. It has no setting by its environment."""
        kind = OWNER if owner else WORKER
        if self._seed:
            try:
                return self._seed.copy(kind, files)
            except OSError as error:
                log.warning("processes are started anew from now on, which takes more memory: %s", error)
                self.end()
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", kind, *map(str, files)],
            stdin=subprocess.DEVNULL,
            pass_fds=files,
            env={name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
        )

    def end(self) -> None:
        """Start nothing more from the seed."""
        seed, self._seed = self._seed, None
        if seed:
            seed.end()
