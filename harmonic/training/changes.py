"""Fields of a recipe that a command line changes: `train.batch=32`."""

import copy
import tomllib
from collections.abc import Sequence
from typing import Any

from harmonic.errors import RecipeError


def changed(fields: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """A recipe's fields with others in their place; whether they mean anything is not asked here.

    changes: `SECTION.FIELD=VALUE`. A value is written as in TOML; what TOML does not understand is text.
    """
    fields = copy.deepcopy(fields)
    for change in changes:
        name, found, value = (part.strip() for part in change.partition("="))
        *sections, field = name.split(".")
        if not found or not all([*sections, field]):
            raise RecipeError(
                f"{change!r} changes no field of a recipe: wanted SECTION.FIELD=VALUE, as train.batch=32."
            )
        place = fields
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise RecipeError(f"{change!r}: {section} has no fields of its own.")
        place[field] = _value(value)
    return fields


def _value(text: str) -> Any:
    if text == "null":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
