"""Tables keep every name whole, in pipes and on narrow terminals, and never take a name for markup."""

import os
import pty
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from rich.table import Column, Table

from harmonic.shown import plain, show
from harmonic.zoo.listing import ArchitectureRow, architecture_tables

LONG = "harm_" + "se_" * 60 + "resnet"
FOREIGN = ["[red]stop[/red]", "[/]", "a:smile:b", "tab\tbed", "\x1b[31mred", "ねこ"]


def everything(terminal: int) -> str:
    """What is written to a terminal until it is closed; it holds few bytes at a time, and comes in pieces."""
    pieces = []
    with suppress(OSError):  # how a terminal ends
        while piece := os.read(terminal, 1 << 16):
            pieces.append(piece)
    return b"".join(pieces).decode()


def on_terminal(columns: int, *tables: Table) -> list[str]:
    """The lines that `show` writes to a terminal of that width."""
    ours, theirs = pty.openpty()
    with ThreadPoolExecutor(1) as reader, pytest.MonkeyPatch.context() as patch:
        shown = reader.submit(everything, ours)
        with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
            patch.setenv("COLUMNS", str(columns))
            patch.setenv("TERM", "vt100")
            patch.setattr(sys, "stdout", terminal)
            show(*tables)
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.result()).splitlines()


def rows() -> list[ArchitectureRow]:
    arguments = ("level", "pool", "root", "drop_connect", "bank", "spectrum")
    names = ("harm_se_resnext101_32x4d", "torchvision/squeezenet1_0")
    return [
        ArchitectureRow(name, 138_365_992, 15_470_300_000, 224, 224, "19.55 / 4.79", arguments, "") for name in names
    ]


def table(*names: str) -> Table:
    made = Table(Column("name", overflow="fold"), "size")
    for name in names:
        made.add_row(plain(name), "1,000")
    return made


def test_a_pipe_gets_names_whole_however_long(capsys):
    show(table(LONG))
    assert LONG in capsys.readouterr().out


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 200])
def test_a_terminal_of_any_width_shows_names_and_sizes_whole(columns):
    shown = on_terminal(columns, *architecture_tables(rows()))
    assert all(len(line) <= columns for line in shown)
    text = "\n".join(shown)
    assert "…" not in text
    for row in rows():
        assert sum(row.name in line for line in shown) == 1
    assert text.count("138,365,992") == (2 if columns > 40 else 0)


def test_a_narrow_terminal_is_told_what_it_does_not_see():
    assert "arguments. --json tells all" in " ".join(on_terminal(80, *architecture_tables(rows())))
    assert "drop_connect" in "\n".join(on_terminal(200, *architecture_tables(rows())))


def test_names_of_others_are_shown_as_they_are(capsys):
    show(table(*FOREIGN))
    shown = capsys.readouterr().out
    for name in ("[red]stop[/red]", "[/]", "a:smile:b", "tab\\tbed", "\\x1b[31mred", "ねこ"):
        assert f" {name} " in shown


def test_a_list_in_a_pipe_can_be_searched_line_by_line(capsys):
    show(*architecture_tables(rows()))
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "harm_se_resnext101_32x4d" in line]) == 1
    assert len([line for line in lines if "drop_connect, bank, spectrum" in line]) == 2
    assert lines[0].strip() == "Architectures"
