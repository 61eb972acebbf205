"""What became of each version's requests, as the metrics of any number of processes tell it."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.telemetry.families import Family


@dataclass(frozen=True, slots=True)
class VersionOutcome:
    """Requests of a version that were answered or failed through no fault of the caller, and the seconds of those that
    were answered. A request that the queue had no room for failed."""

    requests: int = 0
    failed: int = 0
    seconds: float = 0.0

    @property
    def failed_share(self) -> float:
        """From 0 to 1; 0 of none."""
        return self.failed / self.requests if self.requests else 0.0

    @property
    def mean_s(self) -> float:
        """Seconds of an answer; 0 of none."""
        answered = self.requests - self.failed
        return self.seconds / answered if answered > 0 else 0.0

    def since(self, before: "VersionOutcome") -> "VersionOutcome":
        """What has come since then; all of it where counting began anew."""
        if before.requests > self.requests or before.failed > self.failed:
            return self
        return VersionOutcome(
            self.requests - before.requests, self.failed - before.failed, self.seconds - before.seconds
        )


def version_outcomes(families: Sequence[Family]) -> dict[tuple[str, int], VersionOutcome]:
    """By model and version."""
    answered: dict[tuple[str, int], int] = {}
    failed: dict[tuple[str, int], int] = {}
    seconds: dict[tuple[str, int], float] = {}
    for family in families:
        for name, pairs, value in family.samples:
            labels = dict(pairs)
            if not labels.get("version"):
                continue
            key = (labels["model"], int(labels["version"]))
            status = labels.get("status", "")
            if name == "harmonic_requests_total" and status[0] in "25":
                counts = answered if status.startswith("2") else failed
                counts[key] = counts.get(key, 0) + int(value)
            elif name == "harmonic_rejected_total":
                failed[key] = failed.get(key, 0) + int(value)
            elif name == "harmonic_request_seconds_sum":
                seconds[key] = seconds.get(key, 0.0) + value
    return {
        key: VersionOutcome(answered.get(key, 0) + failed.get(key, 0), failed.get(key, 0), seconds.get(key, 0.0))
        for key in answered.keys() | failed.keys()
    }
