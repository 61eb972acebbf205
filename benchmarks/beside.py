"""Two states of this project beside each other: the requests a second that one process of each answers.

    git worktree add ../before REVISION
    python -m benchmarks.beside --before ../before --repository models --images png/

Both serve the same repository at the same time and are asked in turn, so that a busy machine slows both; what counts is
the ratio of a round. `wrk` asks where it is installed, else benchmarks/load.py. The CPU time of a request is that of
the whole process, the model call included.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import load

Figures = dict[str, float]
_WRK = """
local bodies, turn = {BODIES}, 0
for i, path in ipairs(bodies) do
  local file = io.open(path, "rb")
  bodies[i] = wrk.format("POST", wrk.path, {["Content-Type"] = "image/png", ["Host"] = "127.0.0.1"}, file:read("*a"))
  file:close()
end
request = function() turn = turn % #bodies + 1; return bodies[turn] end
done = function(summary, latency)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format('{"n": %d, "rps": %f, "p50_ms": %f, "p99_ms": %f, "failed": %d}\\n', summary.requests,
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, failed))
end
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="a working tree of the older state")
    parser.add_argument("--repository", type=Path, default=Path("models"))
    parser.add_argument("--images", type=Path, required=True, help="a folder of PNG files")
    parser.add_argument("--callers", type=int, nargs="+", default=[32, 1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load at each number of callers, in each round")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/beside.json"))
    asked = parser.parse_args()
    files = sorted(path.resolve() for path in asked.images.iterdir() if path.is_file())[:64]
    trees = {"before": asked.before.resolve(), "now": Path(__file__).resolve().parents[1]}
    rounds: list[dict[str, Figures]] = []
    with ExitStack() as stack:
        services = {name: stack.enter_context(_serving(tree, asked.repository)) for name, tree in trees.items()}
        for service in services.values():
            _measure(service, files, 8, 1)
        for number in range(asked.rounds):
            order = list(services.items())[:: 1 if number % 2 else -1]
            rounds.append(
                {f"{n} {name}": _measure(one, files, n, asked.seconds) for n in asked.callers for name, one in order}
            )
    asked.out.write_text(
        json.dumps({"command": sys.argv[1:], "cpus": os.cpu_count(), "rounds": rounds}, indent=1) + "\n"
    )
    for callers in asked.callers:
        _tell(callers, rounds)


@contextmanager
def _serving(tree: Path, repository: Path) -> Iterator[tuple[str, int]]:
    """The service of a tree, with this environment's libraries: its address and its process."""
    command = [shutil.which("harmonic", path=str(Path(sys.executable).parent)) or "harmonic", "serve", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, *command, "--repository", str(repository.resolve())],
        env=os.environ | {"PYTHONPATH": str(tree), "HARMONIC_SERVE_DRAIN_SECONDS": "0"},
        stderr=subprocess.PIPE,
        text=True,
    )
    address = ""
    try:
        for line in process.stderr or ():
            if "running on " in line:
                address = line.split("running on ", 1)[1].split()[0]
            if " ready, " in line:
                break
        else:
            raise SystemExit(f"the service of {tree} did not start")
        yield address, process.pid
    finally:
        process.terminate()
        process.communicate()


def _measure(service: tuple[str, int], files: list[Path], callers: int, seconds: int) -> Figures:
    address, process = service
    before = _counts(address), _cpu_seconds(process)
    figures = _ask(f"{address}/v1/classify", files, callers, seconds)
    (images, calls), cpu = _counts(address), _cpu_seconds(process)
    figures["batch"] = (images - before[0][0]) / max(1, calls - before[0][1])
    figures["cpu_us"] = (cpu - before[1]) / max(1, figures["n"]) * 1e6
    return figures


def _ask(url: str, files: list[Path], callers: int, seconds: int) -> Figures:
    if (wrk := shutil.which("wrk")) is None:
        with ProcessPoolExecutor(1) as other:
            seen = other.submit(load.run, url, [file.read_bytes() for file in files], callers, seconds).result()
        percentiles = {"p50_ms": seen.percentile(0.5), "p99_ms": seen.percentile(0.99)}
        return {"n": len(seen.latencies), "rps": seen.throughput, **percentiles, "failed": seen.failed}
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_WRK.replace("BODIES", ", ".join(json.dumps(str(file)) for file in files)))
        script.flush()
        command = [wrk, "-t1", f"-c{callers}", f"-d{seconds}s", "--timeout", "10s", "-s", script.name, url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: Figures = json.loads(said.splitlines()[-1])
    return found


def _counts(address: str) -> tuple[float, float]:
    """Images and model calls since the start."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    sums = (re.findall(rf"^harmonic_batch_size_{what}{{.*}} (\S+)$", text, re.M) for what in ("sum", "count"))
    images, calls = (sum(map(float, found)) for found in sums)
    return images, calls


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _tell(callers: int, rounds: list[dict[str, Figures]]) -> None:
    for name in ("before", "now"):
        seen = [each[f"{callers} {name}"] for each in rounds]
        middle = {key: statistics.median(figures[key] for figures in seen) for key in seen[0]}
        print(
            f"{callers:3} callers, {name:6}: {middle['rps']:7,.0f} requests/s, p50 {middle['p50_ms']:6.1f} ms, "
            f"p99 {middle['p99_ms']:6.1f} ms, mean batch {middle['batch']:4.1f}, {middle['cpu_us']:5.0f} us of CPU a "
            f"request, {sum(figures['failed'] for figures in seen):.0f} failed"
        )
    ratios = [each[f"{callers} now"]["rps"] / each[f"{callers} before"]["rps"] for each in rounds]
    print(f"{callers:3} callers: {statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
