"""Bytes that somebody counts, wherever images are held."""

from typing import Protocol


class Loan(Protocol):
    """Bytes that somebody counts: held until everybody who uses them has let go."""

    def hold(self) -> None:
        """One more uses them."""

    def drop(self) -> None:
        """One less does; from any thread."""
