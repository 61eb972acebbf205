"""The seed: a process that has loaded everything a worker needs, and is copied for each. Copies share its memory.

It computes nothing, has one thread and no port, and is made before the supervisor has either. It ends with the
supervisor. Copies are the supervisor's children, as if it had started them itself.
"""

import ctypes
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path
from subprocess import TimeoutExpired
from typing import NoReturn

from service.config import PREFIX
from service.processes.employed import be_called, employ

WORKER, OWNER = "service.processes.worker", "service.processes.owning"
_KINDS = (WORKER, OWNER)
_WORK = {WORKER: "work", OWNER: "own"}  # what each does
_NUMBER = struct.Struct("<i")
_ADOPT = 36  # PR_SET_CHILD_SUBREAPER: orphans below this process become its children
_PATIENCE_S = 10.0
_LOOK_SECONDS = 0.01


class Copy:
    """A process that was copied from the seed, as `subprocess.Popen` would have it. Any thread may ask it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None
        self._asking = threading.Lock()  # the system says only once how a process ended

    def poll(self) -> int | None:
        """How it ended: a status, or the number of a signal, negative; None while it lives."""
        with self._asking:
            return self._look()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises TimeoutExpired."""
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(_LOOK_SECONDS)
        return status

    def kill(self) -> None:
        """End it at once."""
        with self._asking:
            if self._look() is None:
                os.kill(self.pid, signal.SIGKILL)

    def _look(self) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status


class Seed:
    """The seed, as the supervisor has it. pid: its process."""

    def __init__(self, pid: int, ask: socket.socket) -> None:
        self._process = Copy(pid)
        self._ask = ask

    def copy(self, kind: str, files: tuple[int, int]) -> Copy:
        """A process of that kind, with these two sockets. Raises OSError where the seed is gone."""
        socket.send_fds(self._ask, [bytes([_KINDS.index(kind)])], files)
        if not select.select([self._ask], [], [], _PATIENCE_S)[0]:
            raise OSError(f"the seed has not answered within {_PATIENCE_S:g} s")
        answer = self._ask.recv(_NUMBER.size)
        if not answer:
            raise OSError("the seed has ended")
        return Copy(*_NUMBER.unpack(answer))

    def end(self) -> None:
        """Have it end."""
        self._ask.close()
        self._process.kill()
        self._process.wait()


def plant() -> Seed | None:
    """Make the seed of this process; None where processes cannot be copied: not on Linux, or beside other threads.

    Those of OpenBLAS do not count: it ends them before a fork, and starts others where they are wanted.
    """
    if sys.platform != "linux" or threading.active_count() > 1:
        return None
    if ctypes.CDLL(None).prctl(_ADOPT, 1, 0, 0, 0):
        return None
    for kind in _KINDS:
        importlib.import_module(kind)
    gc.collect()
    gc.freeze()  # no collection of a copy shall look at them, which would write to the memory that all share
    ask, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not (pid := os.fork()):
        ask.close()
        _be_the_seed(asked)
    asked.close()
    return Seed(pid, ask)


def _be_the_seed(asked: socket.socket) -> NoReturn:
    """Copy this process whenever it is asked to, until nobody can ask any more. Copies never return either."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    be_called("harmonic-seed")
    for number in (signal.SIGINT, signal.SIGTERM):  # terminals and containers send them to all; it ends with the others
        signal.signal(number, signal.SIG_IGN)
    while True:
        kind, files, _, _ = socket.recv_fds(asked, 1, 2)
        if not kind:
            os._exit(0)
        pid = _copy(_KINDS[kind[0]], files, asked)
        for file in files:
            os.close(file)
        asked.send(_NUMBER.pack(pid))


def _copy(kind: str, files: list[int], asked: socket.socket) -> int:
    """The number of a copy of this process, which is the supervisor's child when this returns."""
    told, tell = os.pipe()
    if not (between := os.fork()):
        if pid := os.fork():
            os.write(tell, _NUMBER.pack(pid))
            os._exit(0)  # at once, so that its child is an orphan
        for file in (told, tell):
            os.close(file)
        asked.close()
        employ(getattr(sys.modules[kind], _WORK[kind]), *files)
    os.close(tell)
    os.waitpid(between, 0)
    (pid,) = _NUMBER.unpack(os.read(told, _NUMBER.size))
    os.close(told)
    return int(pid)
