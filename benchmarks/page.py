"""docs/benchmarks.md, written from docs/benchmarks.json: `python -m benchmarks.page` after a run elsewhere."""

import json
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.queueing import alike, in_batches

DOCS = Path(__file__).resolve().parents[1] / "docs"
FIGURES, PAGE = DOCS / "benchmarks.json", DOCS / "benchmarks.md"
TITLES = {
    "harmonic": "**Harmonic**, 1 worker",
    "harmonic, workers": "**Harmonic**, a worker a CPU",
    "naive": "FastAPI without batching",
    "litserve": "LitServe",
    "mosec": "mosec",
    "bentoml": "BentoML",
    "ray": "Ray Serve",
    "mlserver": "MLServer",
    "triton": "Triton (its own server, Python model)",
}
# What is wanted, and what is to be said of it.
GOALS = {"folded": 0.98, "ready_s": 2.0, "memory_mb": 200, "image_mb": 400, "p99_at_70": 3.0}
_ENDS = ("p50", "p99")
BOUNDS, TRITON = {"tiny": 0.75, "photograph": 0.97}, {"tiny": 1.2, "photograph": 1.0}


def write(figures: Path) -> None:
    """Write the page beside the figures."""
    beside = figures.with_suffix(".md")
    beside.write_text(text(json.loads(figures.read_text(encoding="utf-8"))), encoding="utf-8")
    print(f"wrote {beside}")


def text(found: dict[str, Any]) -> str:
    """The whole page."""
    parts = [_head(found), *map(_workload, found["workloads"].values()), _goals(found)]
    return "\n".join(parts)


def _head(found: dict[str, Any]) -> str:
    machine, versions = found["machine"], ", ".join(f"{name} {value}" for name, value in found["versions"].items())
    quick = "**One short round of each: enough for the order of things, not for a judgement of goals.**\n\n"
    return f"""# Benchmarks

This page is written from [benchmarks.json](benchmarks.json) by `make bench`, which takes a quarter of an hour with two
peers. `make bench PEERS='--peer triton=ENV/bin/python'` adds servers; what an environment ENV needs is in
`benchmarks/peers/__init__.py`. `make bench QUICK=1` is one short round.

{quick * found["quick"]}    {found["made"]["command"]}

{found["made"]["at"]}; {machine["cpus"]} CPUs ({machine["processor"]}), load average {machine["load"]} at the start.
{versions}.

Every server decodes the same files with Pillow and runs the same graph on ONNX Runtime, in batches of up to 32 where it
batches, and gave the same labels before it was measured. One process of [`harmonic load`](load.md) sends, on the same
CPUs. The servers take turns in every round. A cell is the median of the rounds and their range. The bound is decoding
and the model alone, in one process, a thread a CPU, without HTTP.
"""


def _workload(found: dict[str, Any]) -> str:
    callers = list(next(iter(found["servers"].values()))[0]["closed"])
    heads = ["server", *callers, "of the bound, at best", "p50 of 1, ms", f"p99 of {callers[-1]}, ms", "memory, MB"]
    bound = f"Requests a second, by the number of callers. Bound: {_range(found['bound'])} images/s.\n"
    lines = [f"## {found['what']}\n", bound, _row(heads), "|---" * len(heads) + "|"]
    for server, rounds in found["servers"].items():
        closed = {each: [one["closed"][each] for one in rounds] for each in callers}
        cells = [_range([step["throughput"] for step in steps]) for steps in closed.values()]
        best = max(median(step["throughput"] for step in steps) for steps in closed.values())
        cells.append(f"{best / median(found['bound']):.2f}")
        cells += [_latency(closed[callers[0]], "p50"), _latency(closed[callers[-1]], "p99")]
        cells.append(f"{median(one['memory_mb'] for one in rounds):,.0f}")
        lines.append(_row([TITLES[server], *cells]))
    return "\n".join([*lines, "", *_open(found), *_failures(found)])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _open(found: dict[str, Any]) -> list[str]:
    lines = ["Latency under requests at random moments (Poisson), at shares of what 32 callers got:\n"]
    for server in ("harmonic", "harmonic, workers"):
        steps = found["servers"][server][-1]["open"]
        if server == "harmonic":
            heads = ["server", *(f"{float(share):.0%}: p50, p99 ms" for share in steps)]
            lines += [_row(heads), "|---" * len(heads) + "|"]
        cells = [f"{_latency([step], 'p50')}, {_latency([step], 'p99')}" for step in steps.values()]
        lines.append(_row([TITLES[server], *cells]))
    return [*lines, ""]


def _failures(found: dict[str, Any]) -> list[str]:
    lines = []
    for server, rounds in found["servers"].items():
        steps = [step for one in rounds for step in [*one["closed"].values(), *one.get("open", {}).values()]]
        kinds = sorted({kind for step in steps for kind in step["failures"]})
        lines += [f"{TITLES[server]} did not answer every request well: {', '.join(kinds)}.\n"] if kinds else []
    return lines


_WHY = """
The p99 at 70 % of the peak beside what queues without any waste would give, which benchmarks/queueing.py works out from
one caller's median and the peak. In the first every request costs as little as at the peak, whoever is with it. In the
second one alone costs what it was measured to cost, and a free server takes all who wait together.
"""
_LATE = """
Requests at random moments come in clumps: where the second queue misses the goal too, a server that does so many
requests a second would have to waste nothing and lose nothing with small batches to reach it; where even the first one
does, none can. What is found beyond them is CPU time that they know nothing of. The sender takes it from the servers,
and must wait for it itself: a request is late if it was sent more than 1 ms after its moment, and what it waited is in
its latency. And of a light model a request at a random moment costs more CPU time than one in step with 31 others (0.70
and 0.54 ms on two workers), so that 70 % of that peak nearly fills both CPUs. Smaller batches, one queue for all
instances, one instance, other slices of the interpreter (0.2 and 5 ms) and of the scheduler were measured, and brought
nothing; collections of garbage take about 2 ms at most.
[A CPU of its own](processes.md#a-cpu-of-its-own) for each worker helps at all loads.
"""

Goal = tuple[str, float, float, bool]  # what, found, wanted, and whether more is better


def _goals(found: dict[str, Any]) -> str:
    rows = ["## Goals\n", "| what | wanted | found | |", "|---|---|---|---|"]
    for name, value, wanted, more in [*_of_workloads(found["workloads"]), *_of_the_rest(found)]:
        good = value >= wanted if more else value <= wanted
        bound = f"at {'least' if more else 'most'} {wanted:g}"
        verdict = "not judged" if found["quick"] else "yes" if good else "**no**"
        rows.append(_row([name, bound, f"{value:.3g}", verdict]))
    return "\n".join(rows) + "\n" + _WHY + "\n" + _queues(found) + "\n" + _LATE


def _queues(found: dict[str, Any]) -> str:
    heads = ("", "one caller: p50, p99 ms", "found, ms", "sent late", "first queue, ms", "second queue, ms")
    lines = [_row(list(heads)), "|---" * len(heads) + "|"]
    for each in found["workloads"].values():
        for server, processes in (("harmonic", 1), ("harmonic, workers", found["machine"]["cpus"])):
            rounds = each["servers"][server]
            step, peak = rounds[-1]["open"]["0.7"], max(rounds[-1]["closed"]["32"]["throughput"], 1.0)
            alone = {name: median(one["closed"]["1"]["latency_ms"].get(name, nan) for one in rounds) for name in _ENDS}
            wasteless = alone["p50"] / 1000, peak, processes, 0.7
            cells = [f"{each['what']}, {TITLES[server]}", f"{alone['p50']:.1f}, {alone['p99']:.1f}"]
            cells += [_latency([step], "p99"), f"{step['late'] / max(step['requests'], 1):.0%}"]
            cells += [_range([alike(*wasteless)]), _range([in_batches(*wasteless, 32)])]
            lines.append(_row(cells))
    return "\n".join(lines)


def _of_workloads(workloads: dict[str, Any]) -> list[Goal]:
    rows: list[Goal] = []
    for name, each in workloads.items():
        what, ours = each["what"], each["servers"]["harmonic"]
        share = _best(each) / median(each["bound"])
        rows.append((f"{what}: the better of ours, of the bound", share, BOUNDS[name], True))
        if "triton" in each["servers"]:
            ratio = _ours(each, "32") / _at(each["servers"]["triton"], "32")
            rows.append((f"{what}: the better of ours, of Triton's, 32 callers", ratio, TRITON[name], True))
        alone = median(one["closed"]["1"]["latency_ms"].get("p99", nan) for one in ours)
        tail = ours[-1]["open"]["0.7"]["latency_ms"].get("p99", nan) / alone
        rows.append((f"{what}: p99 at 70 % of the peak, of that of one caller", tail, GOALS["p99_at_70"], False))
    return rows


def _of_the_rest(found: dict[str, Any]) -> list[Goal]:
    rows: list[Goal] = []
    if "folded" in found:
        ratio = median(found["folded"]["ratios"])
        rows.append(("folded harmonic ResNet-50, of torchvision's own on ONNX Runtime", ratio, GOALS["folded"], True))
    taken = found["footprint"]
    rows.append(("start of the embedded model, s", median(taken["ready_s"]), GOALS["ready_s"], False))
    rows.append(("memory at rest, MB", median(taken["memory_mb"]), GOALS["memory_mb"], False))
    if taken["image_mb"]:
        rows.append(("CPU image, MB", taken["image_mb"], GOALS["image_mb"], False))
    return rows


def _at(rounds: list[dict[str, Any]], callers: str) -> float:
    return float(median(one["closed"][callers]["throughput"] for one in rounds))


def _ours(found: dict[str, Any], callers: str) -> float:
    return max(_at(found["servers"][name], callers) for name in ("harmonic", "harmonic, workers"))


def _best(found: dict[str, Any]) -> float:
    return max(_ours(found, callers) for callers in found["servers"]["harmonic"][0]["closed"])


def _latency(steps: list[dict[str, Any]], name: str) -> str:
    return _range([step["latency_ms"][name] for step in steps if step["latency_ms"]])


def _range(values: list[float]) -> str:
    if not values:
        return "-"
    low, middle, high = (
        f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" for value in (min(values), median(values), max(values))
    )
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


if __name__ == "__main__":
    write(FIGURES)
