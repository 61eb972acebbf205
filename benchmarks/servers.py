"""The service beside the bound and other servers of the same graph, one after the other in every round.

    python -m benchmarks.servers --peer triton=ENV/bin/python --peer litserve=ENV/bin/python

ENV is a virtual environment with the peer and onnxruntime, numpy and pillow of the versions used here; what else it
needs stands in peers/__init__.py. Every server decodes the same files and runs the same graph, and must give the same
labels before it is measured. The figures go to docs/benchmarks.json, and from there to docs/benchmarks.md.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.bound import bound
from benchmarks.folded import folded
from benchmarks.footprint import footprint
from benchmarks.peers import SERVERS, Server
from benchmarks.running import check, memory_mb, running
from benchmarks.workloads import WORKLOADS, Workload, prepare
from service.load.answers import fault
from service.load.figures import StepFigures, measure
from service.load.plan import ClosedPace, LoadPlan, OpenPace, Pace, read_address
from service.load.samples import Samples
from service.load.team import Team

OURS = "harmonic"
SHARES = (0.2, 0.5, 0.7, 0.9)  # of the peak, for the latency of an open load
_PEAK_CALLERS = 32
_ENOUGH, _MOST_SECONDS = 500, 20.0  # requests of an open load, if they come in that time
_HARMONIC = str(Path(sys.executable).parent / "harmonic")


def main() -> None:
    """Measure, write, and say where."""
    asked = _asked()
    ours = {OURS: sys.executable, f"{OURS}, workers": sys.executable}
    pythons = ours | dict(each.split("=", 1) for each in asked.peer)
    if unknown := set(pythons) - set(SERVERS):
        raise SystemExit(f"no server is called {', '.join(unknown)}; these are: {', '.join(SERVERS)}")
    found: dict[str, Any] = {"schema": 1, "made": _made(), "machine": _machine(), "versions": _versions(pythons)}
    found["quick"] = asked.quick
    rounds = 1 if asked.quick else asked.rounds
    with Team(1, fault) as team:
        found["workloads"] = {
            name: _workload(WORKLOADS[name], team, pythons, rounds, asked.quick) for name in asked.workload or WORKLOADS
        }
    found["footprint"] = footprint(_HARMONIC, rounds)
    if not asked.quick or (WORKLOADS["photograph"].version / "manifest.json").exists():
        prepare(WORKLOADS["photograph"], print)
        found["folded"] = folded(rounds, 1.0 if asked.quick else 4.0)
    asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    page.write(asked.out)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", default=[], help="NAME=PYTHON of an environment that has the peer")
    parser.add_argument("--workload", action="append", choices=tuple(WORKLOADS), help="only this one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything runs")
    parser.add_argument("--out", type=Path, default=page.FIGURES)
    return parser.parse_args()


def _workload(workload: Workload, team: Team, pythons: dict[str, str], rounds: int, quick: bool) -> dict[str, Any]:
    version = prepare(workload, print)
    files = [picture.content for picture in workload.pictures()]
    seconds = workload.seconds / 2 if quick else workload.seconds
    wanted: list[str] = []
    found: dict[str, Any] = {"what": workload.what, "seconds": seconds, "bound": [], "servers": {}}
    for number in range(rounds):
        found["bound"].append(bound(version, files, workload.batch, seconds))
        print(f"{workload.name}, round {number + 1}, bound: {found['bound'][-1]:,.0f} images/s", flush=True)
        for name, python in pythons.items():
            steps = found["servers"].setdefault(name, [])
            last = number == rounds - 1
            steps.append(_round(workload, name, python, team, seconds, wanted, last=last, quick=quick))
            print(f"{workload.name}, round {number + 1}, {name}: {_short(steps[-1])}", flush=True)
    return found


def _round(
    workload: Workload,
    name: str,
    python: str,
    team: Team,
    seconds: float,
    wanted: list[str],
    *,
    last: bool,
    quick: bool,
) -> dict[str, Any]:
    """One start of a server: every number of callers; of ours also the latency at shares of its peak, once."""
    server = SERVERS[name]
    bodies = [server.encode(picture.content) for picture in workload.pictures()]
    with running(name, python, workload.version, bodies[0]) as (url, process, started):
        check(url, server, bodies, wanted)
        load = _Load(team, url, server, bodies, seconds, quick)
        closed = {str(callers): _figures(load.step(ClosedPace(callers))) for callers in workload.callers}
        found = {"start_s": round(started, 2), "closed": closed}
        if name.startswith(OURS) and last:
            peak = max(closed[str(_PEAK_CALLERS)]["throughput"], 1.0)
            found["open"] = {str(share): _figures(load.step(OpenPace(share * peak))) for share in SHARES}
        return found | {"memory_mb": memory_mb(process.pid)}


class _Load:
    """Steps on one server."""

    def __init__(self, team: Team, url: str, server: Server, bodies: list[bytes], seconds: float, quick: bool) -> None:
        self._team, self._seconds, self._quick = team, seconds, quick
        address = read_address(url)
        self._plan = {"address": address, "requests": tuple(_requests(address.path, address.origin, server, bodies))}

    def step(self, pace: Pace) -> StepFigures:
        seconds, warm_up = self._seconds, min(1.0, self._seconds / 3)
        if isinstance(pace, OpenPace) and not self._quick:  # a p99 of a hundred requests would be their slowest
            seconds = max(seconds, min(_MOST_SECONDS, _ENOUGH / pace.rate))
        plan = LoadPlan(**self._plan, pace=pace, seconds=seconds, warm_up_s=warm_up, timeout_s=60.0)
        return measure(pace, self._team.run(plan, _ignore), None)


def _requests(path: str, origin: str, server: Server, bodies: list[bytes]) -> Iterator[bytes]:
    for body in bodies:
        lines = [f"POST {path} HTTP/1.1", f"Host: {origin.partition('://')[2]}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in server.headers(body).items()]
        yield "\r\n".join([*lines, "", ""]).encode() + body


def _figures(step: StepFigures) -> dict[str, Any]:
    latency = {name: round(value, 2) for name, value in step.latency_ms.items()}
    sender = {"late": step.late, "requests": step.requests, "sender": max(step.cpu), "saturated": step.saturated}
    return {"throughput": round(step.throughput, 1), "latency_ms": latency, "failures": step.failures, **sender}


def _short(found: dict[str, Any]) -> str:
    return ", ".join(f"{callers}: {step['throughput']:,.0f}/s" for callers, step in found["closed"].items())


def _made() -> dict[str, str]:
    # Where an environment lies is nobody's business; which peer it holds stays.
    named = [f"{word.partition('=')[0]}=ENV/bin/python" if "=" in word else word for word in sys.argv[1:]]
    command = ["python", "-m", "benchmarks.servers", *named]
    return {"command": shlex.join(command), "at": datetime.now(UTC).date().isoformat()}


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    return {"processor": model, "cpus": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 1)}


def _versions(pythons: dict[str, str]) -> dict[str, str]:
    own = {name: importlib.metadata.version(name) for name in ("harmonic-inference", "onnxruntime", "numpy", "pillow")}
    peers = {name: _peer(name, at) for name, at in pythons.items() if not name.startswith(OURS)}
    return {"Python": platform.python_version(), **own, **peers}


def _peer(name: str, python: str) -> str:
    package = {"naive": "fastapi", "triton": "nvidia-pytriton"}.get(name, name)
    command = [python, "-c", f"from importlib.metadata import version; print(version({package!r}))"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _ignore(_: Samples) -> None:
    pass


if __name__ == "__main__":
    main()
