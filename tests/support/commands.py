"""Runs `harmonic ...` in this process, as people type it."""

from click.testing import Result
from typer.testing import CliRunner

from harmonic.cli import build_app
from harmonic.errors import HarmonicError

# Trained in seconds on small textures.
RECIPE = """
title = "brief"
[model]
architecture = "harm_wrn10_0.5"
[pixels]
height = 12
width = 12
[train]
epochs = 1
batch = 16
schedule = { kind = "one-cycle" }
precision = "fp32"
"""


def harmonic(*arguments: object) -> Result:
    """What a command ended with; arguments are written as text."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    """What a command that must succeed wrote to stdout."""
    ended = harmonic(*arguments)
    assert ended.exit_code == 0, (ended.output, ended.exception)
    return ended.stdout


def refused(*arguments: object) -> str:
    """The message of a command that must end with an expected error, which `harmonic` prints before it ends with 2."""
    ended = harmonic(*arguments)
    assert isinstance(ended.exception, HarmonicError), (ended.output, ended.exception)
    return str(ended.exception)
