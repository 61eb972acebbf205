"""A progress bar where somebody watches: on a terminal's stderr, and silence elsewhere, so that output can be piped."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def tracked(steps: Iterable[T], title: str, total: int) -> Iterator[T]:
    """The steps themselves, with a bar of `total` steps that disappears at the end."""
    console = Console(stderr=True)
    yield from track(steps, title, total, console=console, transient=True, disable=not console.is_terminal)
