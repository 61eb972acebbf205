"""Canaries: which of the versions that share a model's requests do worse than the one they are measured by.

Knows counts that only rise; neither requests nor processes.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.config import CanaryRules, Split
from service.telemetry import VersionOutcome

Key = tuple[str, int]  # a version: its model's name, its number
Outcomes = Mapping[Key, VersionOutcome]
_NOTHING = VersionOutcome()


@dataclass(frozen=True, slots=True)
class CanaryVerdict:
    """A version that is to be taken out, and why."""

    model: str
    version: int
    reason: str


class Judge:
    """Looks at what was counted, again and again, and says which canaries are beyond the rules."""

    def __init__(self, rules: CanaryRules, splits: Iterable[Split] = ()) -> None:
        """splits: those from the very start, when nothing was counted yet."""
        self._rules = rules
        self._seen: deque[tuple[float, Outcomes]] = deque()
        self._splits = {split.model: split.shares for split in splits}
        if self._splits:
            self._seen.append((-math.inf, {}))

    def look(self, now: float, outcomes: Outcomes, splits: Iterable[Split]) -> list[CanaryVerdict]:
        """Which are to be taken out now. outcomes: since the start; what came before a split is no part of it."""
        splits = list(splits)
        shares = {split.model: split.shares for split in splits}
        if shares != self._splits:
            self._splits = shares
            self._seen.clear()
        self._seen.append((now, outcomes))
        while len(self._seen) > 2 and self._seen[1][0] <= now - self._rules.seconds:
            self._seen.popleft()
        before = self._seen[0][1]
        return [verdict for split in splits for verdict in self._of_one(split, before, outcomes)]

    def _of_one(self, split: Split, before: Outcomes, now: Outcomes) -> Iterable[CanaryVerdict]:
        out = dict(split.out)
        incumbent = split.incumbent({version for version, _ in split.shares})
        if incumbent is None:
            return

        def lately(version: int) -> VersionOutcome:
            key = (split.model, version)
            return now.get(key, _NOTHING).since(before.get(key, _NOTHING))

        usual = lately(incumbent)
        for version, _ in split.shares:
            if version != incumbent and version not in out and (reason := self._reason(lately(version), usual)):
                yield CanaryVerdict(split.model, version, f"{reason} (version {incumbent})")

    def _reason(self, canary: VersionOutcome, usual: VersionOutcome) -> str:
        """Why a canary is to be taken out; empty where it is not. The incumbent stands at the end of the sentence."""
        rules = self._rules
        if canary.requests < rules.requests:
            return ""
        if canary.failed_share - usual.failed_share > rules.errors:
            failed = f"{canary.failed_share:.1%} of {canary.requests} requests failed"
            return f"{failed}, of the incumbent {usual.failed_share:.1%}"
        answered = min(canary.requests - canary.failed, usual.requests - usual.failed)
        if answered >= rules.requests and canary.mean_s > rules.latency * usual.mean_s:
            return f"answers took {canary.mean_s * 1e3:.3g} ms, those of the incumbent {usual.mean_s * 1e3:.3g} ms"
        return ""
