"""How a setting is declared: its default, what it means, whether it is a flag too. And the kinds of values."""

from typing import Annotated, Any

from pydantic import Field

PREFIX = "HARMONIC_SERVE_"
Count = Annotated[int, Field(ge=1)]
Milliseconds = Annotated[float, Field(ge=0, le=3_600_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Port = Annotated[int, Field(ge=0, le=65535)]
ADDRESS = "an address, too: a path would not keep it as it is"  # marks a setting that is a folder otherwise


def setting(default: Any, meaning: str, *, flag: bool = False, unset: str = "none") -> Any:
    """A field of the settings.

    meaning: for docs/settings.md, in Markdown; `--help` of a flag shows its first sentence.
    flag: `harmonic serve` has it too. unset: what a default of None stands for, in a word or two.
    """
    return Field(default, description=meaning, json_schema_extra={"flag": flag, "unset": unset})
