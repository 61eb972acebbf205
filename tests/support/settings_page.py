"""The tables of docs/settings.md, written from the settings themselves: `python -m tests.support.settings_page`."""

import sys

from pydantic.fields import FieldInfo

from service.config.settings import SECTIONS
from service.flags import flag_names, shown_default
from tests.support.house import ROOT

PAGE = ROOT / "docs" / "settings.md"
BEGIN, END = "<!-- the settings: begin -->\n", "<!-- the settings: end -->\n"
_HEAD = "| Setting | Flag | Default | Meaning |\n|---|---|---|---|\n"


def tables() -> str:
    """A table for each section: every setting with its flag, its default and what it means."""
    return "\n".join(
        f"## {(section.__doc__ or '').rstrip('.')}\n\n{_HEAD}"
        + "".join(_row(name, field) for name, field in section.model_fields.items())
        for section in SECTIONS
    )


def _row(name: str, field: FieldInfo) -> str:
    flags = ", ".join(f"`{flag}`" for flag in flag_names(name, field))
    return f"| `{name}` | {flags or ' '} | {_default(name, field)} | {field.description} |\n".replace("|   |", "| |")


def _default(name: str, field: FieldInfo) -> str:
    """Values as one would write them; words where a value would say less."""
    words = shown_default(name, field)
    in_words = field.default is None or isinstance(field.default, bool) or name.endswith("_bytes")
    return words if in_words else f"`{words}`"


def with_tables(page: str) -> str:
    """The page with the tables as they should be."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + tables() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote the tables of {PAGE.name}\n")
