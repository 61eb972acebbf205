"""The `harmonic` command. Its sub-commands are entry points, so this file never imports upward.

A sub-command's module imports nothing heavy at its top, so that `harmonic --help` is quick and `harmonic serve` loads
no torch.
"""

import inspect
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from harmonic import __version__
from harmonic.errors import HarmonicError

_OWN = {"harmonic", "export", "service"}


def main() -> None:
    """Run `harmonic`; an expected error is one message on stderr and status 2."""
    try:
        build_app()()
    except HarmonicError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in _OWN:
            raise
        if error.name is None:  # raised by hand, for something else than an import
            _fail(str(error))
        _fail(
            f"this needs the package {error.name!r}, which is not installed. Install the extra that brings it: "
            "pip install 'harmonic-inference[train,export,serve,cpu]' (or gpu instead of cpu)."
        )


def build_app() -> typer.Typer:
    """The command with every installed sub-command."""
    app = typer.Typer(
        help="Train, compress, export and serve harmonic image classifiers.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # its boxes cut the names of flags where they have no room
    )
    app.callback()(_options)
    for point in sorted(entry_points(group="harmonic.commands"), key=lambda point: point.name):
        command = point.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=point.name, short_help=str(command.info.help))
            continue
        # A command whose options are only made when they are wanted brings the class that makes them.
        kind = getattr(command, "command_class", None)
        app.command(name=point.name, short_help=_first_sentence(command), cls=kind)(command)
    return app


def _first_sentence(command: Callable[..., Any]) -> str:
    """What a command does, for the list of all: whole, where the list's own summary would stop after a few words."""
    text = " ".join((inspect.getdoc(command) or "").partition("\n\n")[0].split())
    return text.partition(". ")[0].rstrip(".") + "."


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"harmonic {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Train, compress, export and serve harmonic image classifiers."""


def _fail(message: str) -> NoReturn:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]harmonic:[/] {escape(message)}")
    sys.exit(2)
