"""How many CPUs this process may really use: its affinity and its cgroup's quota, not the host's core count."""

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cpus(cgroups: Path = _CGROUPS, affinity: int | None = None) -> int:
    """CPUs by affinity, lowered to the cgroup's quota (v2 or v1) rounded up; at least 1."""
    allowed = affinity or len(os.sched_getaffinity(0))
    quota = _quota_v2(cgroups / "cpu.max") or _quota_v1(cgroups / "cpu")
    return max(1, min(allowed, math.ceil(quota))) if quota else allowed


def _quota_v2(path: Path) -> float | None:
    words = _read(path).split()
    if len(words) != 2 or words[0] == "max":
        return None
    return int(words[0]) / int(words[1])


def _quota_v1(folder: Path) -> float | None:
    quota, period = _read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip()
    if not quota or not period or int(quota) <= 0:
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
