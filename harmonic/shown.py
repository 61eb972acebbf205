"""What commands show to people: tables that are never cut, and the names of others as they are.

Knows nothing of what a table says, and nothing of torch.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from rich.console import Console
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

_NO_TERMINAL = 100_000  # columns: a pipe or a file takes lines of any length, so that `| grep NAME` finds the name


def show(*tables: Table) -> None:
    """Print one table on stdout: the first for which the terminal is wide enough, else the last.

    Wide enough is where nothing but text between blanks is broken. A pipe or a file takes the first, whatever it needs.
    """
    console = Console() if sys.stdout.isatty() else Console(width=_NO_TERMINAL)
    console.print(next((table for table in tables if _least_width(table) <= console.width), tables[-1]))


def plain(name: object) -> Text:
    """A text of others (a class, a file, a layer) without meaning: no markup, no signs to a terminal."""
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(name)))


@contextmanager
def for_people(*, aside: bool) -> Iterator[None]:
    """What is printed within is for people. aside: on stderr, since stdout is to carry one JSON object alone."""
    with redirect_stdout(sys.stderr if aside else sys.stdout):
        yield


def _least_width(table: Table) -> int:
    """Of a terminal that breaks the table's lines only between words, and those of `no_wrap` columns nowhere."""
    return sum(_least_column(column) for column in table.columns) + 3 * len(table.columns) + 1  # blanks and borders


def _least_column(column: Column) -> int:
    wide = Console(width=_NO_TERMINAL)
    found = [Measurement.get(wide, wide.options, cell) for cell in (column.header, *column.cells)]
    return max(cell.maximum if column.no_wrap else cell.minimum for cell in found)
