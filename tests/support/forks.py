"""Processes of their own that begin with everything loaded: a server imports what is heavy once, and forks them.

PyTorch, Lightning and what they bring take seconds to import; whole tests of killed runs and of commands take less.
Where the start of a process is itself what is tested, `tests.support.process` has the installed command.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import PATIENCE_S, environment

SERVER = get_context("forkserver")
# Nothing that starts threads as it is imported: a fork has none of them.
SERVER.set_forkserver_preload(["harmonic.training.train", "torch.utils.tensorboard", "torch.onnx", "onnxscript"])


def forked(out: Path | None, function: Callable[..., object], *arguments: Any) -> BaseProcess:
    """Call a function in a process of its own, which writes what it says to `out`, if to anywhere, and its complaints
    beside it."""
    if out:
        out.unlink(missing_ok=True)
    process = SERVER.Process(target=_speak, args=(out, dict(os.environ), function, arguments), daemon=True)
    process.start()
    return process


def complaints(out: Path) -> Path:
    """Where a process whose words are in `out` complains."""
    return out.with_name(f"{out.name}.err")


def ended(process: BaseProcess, patience_s: float = 10 * PATIENCE_S) -> int:
    """The exit status of a process that ends by itself; the test fails if that takes longer."""
    process.join(patience_s)
    if process.exitcode is None:
        process.kill()
        pytest.fail(f"the process still ran after {patience_s} s")
    return process.exitcode


def run(*arguments: object, **settings: str) -> "subprocess.CompletedProcess[str]":
    """`harmonic` with these arguments, as `tests.support.process.run` runs it."""
    words = ["harmonic", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        code = ended(forked(out, _command, words, environment(**settings)))
        return subprocess.CompletedProcess(words, code, out.read_text(), complaints(out).read_text())


def _speak(
    out: Path | None, surroundings: dict[str, str], function: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    for stream, path in ((sys.stdout, out), (sys.stderr, out and complaints(out))):
        with open(path or os.devnull, "w") as file:  # noqa: PTH123
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(surroundings)
    function(*arguments)


def _command(words: list[str], surroundings: dict[str, str]) -> None:
    from harmonic.cli import main

    os.environ.clear()
    os.environ.update(surroundings)
    sys.argv = words
    main()
