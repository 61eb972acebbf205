"""What a whole load found, for people and for programs."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Column, Table

from harmonic import __version__
from service.load.figures import StepFigures
from service.load.peak import Peak

SCHEMA = 1


@dataclass(frozen=True)
class Findings:
    """All steps of a load, and what they were made with."""

    url: str
    command: str
    started: str
    body: str
    images: int
    request_bytes: int
    versions: dict[str, str]
    steps: tuple[StepFigures, ...]
    peak: Peak | None = None

    def document(self) -> dict[str, Any]:
        """For a file."""
        own = {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in ("url", "command", "started", "body", "images", "request_bytes")},
            "versions": self.versions,
            "steps": [_plain(step) for step in self.steps],
        }
        if self.peak is None:
            return own
        peak = self.peak
        return own | {"peak": {"rate": peak.rate, "slo_p99_ms": peak.slo_p99_ms, "why": peak.why}}


def as_json(findings: Findings) -> str:
    """The document as text."""
    return json.dumps(findings.document(), indent=1) + "\n"


def now() -> str:
    """The time of day, for a document."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Of this side: the service may run on another machine."""
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    return {"harmonic": __version__, "Python": platform.python_version(), "on": system}


def tables(steps: Sequence[StepFigures]) -> tuple[Table, Table]:
    """A row a step: with everything, and for a terminal of 80 columns."""
    return _table(steps, ("p50", "p90", "p99", "p99.9", "max"), batches=True), _table(steps, ("p50", "p99"))


def _table(steps: Sequence[StepFigures], latencies: Sequence[str], *, batches: bool = False) -> Table:
    names = ["pace", "answers/s", *(f"{name} ms" for name in latencies), "failed", "late", *["mean batch"] * batches]
    made = Table(*(Column(name, justify="left" if name == "pace" else "right", no_wrap=True) for name in names))
    for step in steps:
        found = [step.latency_ms.get(name) for name in latencies]
        company = f"{step.service.mean_batch:.1f}" if step.service else "-"
        made.add_row(
            step.pace,
            f"{step.throughput:,.1f}",
            *("-" if each is None else f"{each:,.2f}" for each in found),
            f"{step.failed:,}",
            f"{step.late:,}",
            *[company] * batches,
        )
    return made


def remarks(steps: Sequence[StepFigures]) -> list[str]:
    """What must be known of the figures beside them."""
    lines = []
    for step in steps:
        kinds = ", ".join(f"{count:,} x {kind}" for kind, count in step.failures.items())
        lines += [f"{step.pace}: failed: {kinds}"] if kinds else []
        lines += [f"{step.pace}: for example: {step.faults[0]}"] if step.faults else []
        lines += [f"{step.pace}: {step.saturated}"] if step.saturated else []
        lines += [f"{step.pace}: {step.held:,} waited for one of the --connections"] if step.held else []
        lines += [f"{step.pace}: cut short; {step.unfinished} requests were on their way"] if step.cut else []
    return lines


def _plain(step: StepFigures) -> dict[str, Any]:
    own = step.document()
    own["moments"] = [asdict(each) for each in step.moments]
    own["service"] = asdict(step.service) if step.service else None
    return own
