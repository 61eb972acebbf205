"""How much of the repository may be in memory at a time. Without a bound everything is loaded at the start."""

import re
from dataclasses import dataclass

PATTERN = r"^[1-9]\d{0,15}(\.\d{1,3})? ?([kKMGT]i?)?B?$"
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY_UNITS = {"ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


@dataclass(frozen=True, slots=True)
class Bounds:
    """models: most versions in memory at a time. memory_bytes: most memory of all of them. None for no bound."""

    models: int | None = None
    memory_bytes: int | None = None

    def __bool__(self) -> bool:
        """True where there is one: versions are loaded on demand then."""
        return self.models is not None or self.memory_bytes is not None

    def exceeded(self, taken: list[int]) -> bool:
        """True for more than may be. taken: bytes of each version."""
        too_many = self.models is not None and len(taken) > self.models
        return too_many or (self.memory_bytes is not None and sum(taken) > self.memory_bytes)


def read_bytes(text: str) -> int:
    """Bytes of `2GB`, `1.5 GiB`, `800M` or `123456`: what fits PATTERN."""
    number, prefix = re.fullmatch(r"([\d.]+) ?([kKMGT]?i?)B?", text).groups()  # type: ignore[union-attr]
    return int(float(number) * (_UNITS | _BINARY_UNITS)[prefix.replace("K", "k")])
