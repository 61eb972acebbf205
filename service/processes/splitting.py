"""Splits where several processes serve: one decision for all of them, by what all have counted."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from service.config import Settings, Split
from service.engine import CanaryVerdict, Judge
from service.telemetry import Family, add_up, version_outcomes

_SPLIT = TypeAdapter(Split | None)


def split_facts(split: Split | None) -> Any:
    """A split as it travels."""
    return _SPLIT.dump_python(split, mode="json")


def read_split(facts: Any) -> Split | None:
    """A split that has travelled."""
    return _SPLIT.validate_python(facts)


class SharedSplits:
    """The splits that all processes have, as those know them who lead them."""

    def __init__(self, settings: Settings) -> None:
        self._splits: dict[str, Split | None] = dict(settings.splits())
        self._judge = Judge(settings.canary_rules(), settings.splits().values())

    def note(self, model: str, split: Split | None) -> None:
        """They have this one now; None for one that was ended, which a process that starts later has to be told."""
        self._splits[model] = split

    def all(self) -> Mapping[str, Split | None]:
        """Of every model that has, or had, one."""
        return dict(self._splits)

    def verdicts(self, families: Iterable[tuple[Family, ...]]) -> list[CanaryVerdict]:
        """Which versions are to be taken out. families: of every process."""
        splits = [split for split in self._splits.values() if split]
        return self._judge.look(time.monotonic(), version_outcomes(add_up(families)), splits) if splits else []

    def fatal(self, versions: Iterable[Sequence[Any]]) -> list[CanaryVerdict]:
        """Those of these versions that are canaries, and still get requests. versions: names and numbers of versions
        that only a new process may mend."""
        found = []
        for model, version in versions:
            split = self._splits.get(model)
            if split is None or version in dict(split.out):
                continue
            numbers = {number for number, _ in split.shares}
            if version in numbers and version != split.incumbent(numbers):
                found.append(CanaryVerdict(model, version, "a process had to be replaced because of it"))
        return found

    def without(self, verdict: CanaryVerdict) -> Split | None:
        """A split once a verdict is carried out."""
        split = self._splits[verdict.model]
        return split.without(verdict.version, verdict.reason) if split else None
