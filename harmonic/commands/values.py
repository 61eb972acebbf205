"""What people type, as values: levels, and arguments of an architecture; and results as the JSON that programs read."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import typer

from harmonic.errors import HarmonicError

Level = int | None


def parse_levels(text: str | None) -> Level | tuple[Level, ...] | dict[str, Level]:
    """`3`; `full,full,3,2` for stages; `layer3.*=3,layer4.*=2` by name pattern; None for the full band."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if all("=" in part for part in parts):
        return {name.strip(): _level(value, text) for name, _, value in (part.partition("=") for part in parts)}
    levels = tuple(_level(part, text) for part in parts)
    return levels[0] if len(levels) == 1 else levels


def parse_select(text: str) -> Literal["all", "root"] | list[str]:
    """`all`, `root`, or name patterns with commas between."""
    if text == "all":
        return "all"
    return "root" if text == "root" else text.split(",")


def parse_arguments(pairs: list[str]) -> dict[str, Any]:
    """`name=value` pairs; a value is JSON where it can be, `full` is null, `full,3,2` a list of levels, else text."""
    arguments = {}
    for pair in pairs:
        name, found, value = pair.partition("=")
        if not found or not name:
            raise HarmonicError(f"an argument is written name=value, not {pair!r}.")
        if name == "classes":
            raise HarmonicError("the number of classes is that of the weights; --classes FILE gives their names.")
        arguments[name] = _value(value)
    return arguments


def print_json(result: Mapping[str, Any] | Sequence[Any]) -> None:
    """A command's result on stdout, as one line of JSON. A figure that is no number is null: JSON knows no NaN."""
    typer.echo(json.dumps(_finite(result), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _level(text: str, whole: str) -> Level:
    if text in ("full", "none", "null"):
        return None
    try:
        return int(text)
    except ValueError as error:
        raise HarmonicError(
            f"levels {whole!r}: wanted a number or 'full', one, one for each stage (full,3,2), or NAME=LEVEL pairs."
        ) from error


def _value(text: str) -> Any:
    if text == "full":
        return None
    try:
        return json.loads(text)
    except ValueError:
        pass
    parts = text.split(",")
    return [_value(part) for part in parts] if len(parts) > 1 else text
