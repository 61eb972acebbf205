"""docs/benchmarks.md, written from docs/benchmarks.json: `python -m benchmarks.page` after a run elsewhere."""

import json
from math import nan
from pathlib import Path
from statistics import median
from typing import Any

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

This page is written from [benchmarks.json](benchmarks.json) by `make bench`, which takes about twelve minutes with two
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
Why the latency at 70 % of the peak misses its goal on two CPUs, where it does: 32 callers in step fill batches and keep
caches warm, and a request of theirs costs about 0.55 ms of processor time. One that comes at a random moment costs
about 1 ms, so 70 % of that peak nearly fills both CPUs, which the sender uses too. Smaller batches, one queue for all
instances and other slices of the scheduler were measured, and brought nothing that lasted.
"""

Goal = tuple[str, float, float, bool]  # what, found, wanted, and whether more is better


def _goals(found: dict[str, Any]) -> str:
    rows = ["## Goals\n", "| what | wanted | found | |", "|---|---|---|---|"]
    for name, value, wanted, more in [*_of_workloads(found["workloads"]), *_of_the_rest(found)]:
        good = value >= wanted if more else value <= wanted
        bound = f"at {'least' if more else 'most'} {wanted:g}"
        verdict = "not judged" if found["quick"] else "yes" if good else "**no**"
        rows.append(_row([name, bound, f"{value:.3g}", verdict]))
    return "\n".join(rows) + "\n" + _WHY


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
