"""Training runs that kill themselves: as they touch their folder for the n-th time, or in the middle of a file."""

import json
import os
import resource
import signal
import sys
from pathlib import Path

from harmonic.training.recipe import Recipe
from harmonic.training.train import train
from tests.support.forks import ended, forked
from tests.support.runs import CPU, images

# `sys.addaudithook` tells of every file that is opened, renamed or removed before it happens.
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.chmod"}
Touch = tuple[str, str]


def run(plan: Recipe, out: Path, *, fatal: int | None = None, size: int | None = None) -> tuple[int, list[Touch]]:
    """Train in a process of its own: its exit status, and in which ways it has touched its folder.

    fatal: it kills itself at this touch. size: it is killed in the middle of writing a file beyond so many bytes.
    """
    journal = out.with_name(f"{out.name}.json")
    code = ended(forked(None, _run, plan, out, journal, fatal, size))
    return code, [tuple(touch) for touch in json.loads(journal.read_text())] if code == 0 else []


def _run(plan: Recipe, out: Path, journal: Path, fatal: int | None, size: int | None) -> None:
    if size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it otherwise
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    touches: list[Touch] = []

    def look(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and any(f"{out}/" in f"{argument}/" for argument in arguments):
            touches.append((event, Path(str(arguments[0])).name))
            if len(touches) == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    train(plan, images(), out, where=CPU)
    journal.write_text(json.dumps(touches))


def kinds(touches: list[Touch]) -> dict[Touch, int]:
    """Every kind of touch, and the last of its kind, counted from 1."""
    return {(event, _kind(name)): number for number, (event, name) in enumerate(touches, 1)}


def _kind(name: str) -> str:
    """The name of a file, without what differs from run to run."""
    return "events" if name.startswith("events.out") else "staging" if name.startswith(".bundle") else name
