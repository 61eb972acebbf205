"""Settings as flags of a command line: names, types, help and defaults are those of the settings themselves.

A command of this kind loads the settings, and with them all that is heavy, only when somebody asks for its flags.
"""

import re
from collections.abc import Callable
from functools import cache
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer
from typer.core import TyperCommand
from typer.main import get_command

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

F = TypeVar("F", bound=Callable[..., Any])
_UNITS = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def with_flags(kind: type["FlagsOfSettings"]) -> Callable[[F], F]:
    """A sub-command whose flags are settings: `harmonic` makes it of this class."""

    def mark(command: F) -> F:
        vars(command)["command_class"] = kind
        return command

    return mark


class FlagsOfSettings(TyperCommand):
    """A command whose flags are the settings that are marked as flags. Its function finds them in the context."""

    only: tuple[str, ...] | None = None  # these of the flags

    @property
    def params(self) -> list[Any]:
        """The flags, as click knows them."""
        return _flags(self.only)

    @params.setter
    def params(self, given: list[Any]) -> None:
        """The function's own arguments: it has none."""

    def invoke(self, ctx: Any) -> Any:
        """Call the function, which is told nothing: it reads the context."""
        return ctx.invoke(self.callback)


class FlagsOfAddress(FlagsOfSettings):
    """Those of the flags that say where a service listens, and whether it does so by TLS."""

    only = ("host", "port", "tls_cert", "tls_key")


def shown_default(name: str, field: "FieldInfo") -> str:
    """The default of a setting, for people."""
    default = field.get_default(call_default_factory=True)
    if default is None:
        return str(_extra(field)["unset"])
    if isinstance(default, bool):
        return "yes" if default else "no"
    if name.endswith("_bytes"):
        return next(f"{default // size} {unit}" for size, unit in _UNITS if default % size == 0)
    if isinstance(default, tuple):
        return str(list(default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def flag_names(name: str, field: "FieldInfo") -> list[str]:
    """How a setting is written on the command line; nothing for one that is no flag."""
    if not _extra(field)["flag"]:
        return []
    word = name.replace("_", "-")
    return [f"--{word}", f"--no-{word}"] if _kind(field) is bool else [f"--{word}"]


@cache
def _flags(only: tuple[str, ...] | None) -> list[Any]:
    """Options for these settings, made by Typer as it makes those of any function."""
    from service.config import Settings

    def take() -> None:
        pass

    fields = {name: field for name, field in Settings.model_fields.items() if only is None or name in only}
    parameters = [_parameter(name, field) for name, field in fields.items() if flag_names(name, field)]
    vars(take)["__signature__"] = Signature(parameters)  # what Typer reads
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(take)
    return list(get_command(app).params)


def _parameter(name: str, field: "FieldInfo") -> Parameter:
    option = typer.Option("/".join(flag_names(name, field)), help=_help(field), show_default=shown_default(name, field))
    return Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[_kind(field) | None, option])


def _kind(field: "FieldInfo") -> type:
    """What the shell's word is turned into; the settings themselves look closer."""
    from service.config import ADDRESS

    if ADDRESS in field.metadata:
        return str
    kinds = {field.annotation, *get_args(field.annotation)}
    kinds |= {part for kind in kinds for part in get_args(kind)[:1]}  # of Annotated[int, ...] | None
    return next((kind for kind in (bool, int, float, Path) if kind in kinds), str)


def _help(field: "FieldInfo") -> str:
    """The first sentence of what a setting means, without Markdown."""
    sentence = re.split(r"(?<=\.)\s", field.description or "", maxsplit=1)[0]
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", sentence).replace("`", "")


def _extra(field: "FieldInfo") -> dict[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {"flag": False, "unset": "none"}
