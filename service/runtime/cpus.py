"""How many CPUs this process may really use: its affinity and its control groups' quotas, not the host's core count."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS, _MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_V1 = ("cpu", "cpu,cpuacct", "cpuacct,cpu")  # where the controller of version 1 may be mounted


def usable_cpus(cgroups: Path = _CGROUPS, affinity: int | None = None, membership: Path = _MEMBERSHIP) -> int:
    """CPUs by affinity, lowered to the smallest quota (version 2 or 1) of this process's group and those above it,
    rounded up; at least 1.

    membership: `/proc/self/cgroup`. In a container the group itself is often what is mounted at `cgroups`.
    """
    allowed = affinity or _affinity()
    quotas = [*_quotas(cgroups, membership)]
    return max(1, min(allowed, math.ceil(min(quotas)))) if quotas else allowed


def keep_to_own_cpu(number: int, processes: int) -> int | None:
    """Have this thread, and every thread that it starts from now on, run on one CPU: that of process `number`, from 1.

    None, and nothing is changed, unless there are as many CPUs as processes: on a machine of which a quota gives them
    only a part, every service would crowd onto the same first CPUs.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) != processes:
        return None
    own = cpus[number - 1]
    os.sched_setaffinity(0, {own})
    return own


def _affinity() -> int:
    """CPUs that this process may run on; all of the machine's where the system knows no affinity (macOS, Windows)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas(cgroups: Path, membership: Path) -> Iterator[float]:
    for controllers, group in _groups(membership):
        for folder in (group, *group.parents):
            below = folder.relative_to("/")
            if controllers == "":
                yield from _quota_v2(cgroups / below / "cpu.max")
            elif "cpu" in controllers.split(","):
                for mount in _V1:
                    yield from _quota_v1(cgroups / mount / below)


def _groups(membership: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Controllers and path of each group; the two roots where the file says nothing."""
    yield from (("", PurePosixPath("/")), ("cpu", PurePosixPath("/")))
    for line in _read(membership).splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3 and parts[2].startswith("/") and ".." not in parts[2]:  # ..: it lies outside of what we see
            yield parts[1], PurePosixPath(parts[2])


def _quota_v2(path: Path) -> Iterator[float]:
    words = _read(path).split()
    if len(words) == 2 and all(word.isdecimal() and int(word) for word in words):  # "max" is no quota
        yield int(words[0]) / int(words[1])


def _quota_v1(folder: Path) -> Iterator[float]:
    quota, period = (_read(folder / f"cpu.cfs_{what}_us").strip() for what in ("quota", "period"))
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):  # -1 is no quota
        yield int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
