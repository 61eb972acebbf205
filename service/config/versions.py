"""Which versions of a model serve: all, the newest ones, or those on a list."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import StartError

PATTERN = r"^(all|latest(:[1-9]\d{0,3})?|[1-9]\d{0,8}(,[1-9]\d{0,8}){0,99})$"


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """A choice among versions. newest: how many sound ones, None for every one. listed: only these, if any."""

    newest: int | None = None
    listed: tuple[int, ...] = ()

    def order(self, present: Sequence[int]) -> list[int]:
        """The versions to try, the most wanted first. Of a list, those that are not present too."""
        return sorted(self.listed or present, reverse=True)

    def enough(self, sound: int) -> bool:
        """True once so many sound versions are found that no further one is tried."""
        return self.newest is not None and sound >= self.newest


def version_policy(text: str) -> VersionPolicy:
    """Read `all`, `latest`, `latest:N` or a list such as `1,3`. Raises StartError for anything else."""
    if not re.fullmatch(PATTERN, text):
        raise StartError(f"versions are {text[:100]!r}; they want 'all', 'latest', 'latest:3' or a list like '1,3'")
    if text == "all":
        return VersionPolicy()
    if text.startswith("latest"):
        return VersionPolicy(newest=int(text.partition(":")[2] or 1))
    return VersionPolicy(listed=tuple(sorted({int(number) for number in text.split(",")})))
