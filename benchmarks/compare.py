"""The service beside other servers of the same graph: each with its own batching, one after the other, in every round.

    python -m benchmarks.compare --images photographs/ --peer litserve=ENV/bin/python --peer bentoml=ENV/bin/python \\
        --peer ray=ENV/bin/python --peer mlserver=ENV/bin/python --peer triton=ENV/bin/python --out compare.json

ENV is a virtual environment with the peer (litserve with python-multipart, bentoml, ray[serve], mlserver,
nvidia-pytriton) and onnxruntime, pillow and numpy of the versions used here. Every server decodes the same files, runs
the same graph on ONNX Runtime with the same threads, and must give the same labels before it is measured
(`peers/classifier.py`).
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks import load
from benchmarks.peers import FOLDER, SERVERS, Server
from service.runtime import usable_cpus

CALLERS = (1, 8, 64)
_START_SECONDS = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", type=Path, default=Path("models/cifar10/1"), help="a version's folder")
    parser.add_argument("--images", type=Path, required=True, help="a folder of image files")
    parser.add_argument("--peer", action="append", default=[], help="NAME=PYTHON of an environment that has the peer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load at each number of callers, in each round")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/compare.json"))
    asked = parser.parse_args()
    pythons = {"harmonic": sys.executable, **dict(peer.split("=", 1) for peer in asked.peer)}
    files = [path.read_bytes() for path in sorted(asked.images.iterdir()) if path.is_file()][:64]
    rounds: list[dict[str, dict[str, float]]] = []
    wanted: list[str] = []
    for number in range(asked.rounds):
        figures = {}
        for name, python in pythons.items():
            figures[name] = measure(SERVERS[name], python, asked.version.resolve(), files, wanted, asked.seconds)
            print(f"round {number + 1}, {name}: {figures[name]}", flush=True)
        rounds.append(figures)
    asked.out.write_text(json.dumps({"cpus": usable_cpus(), "rounds": rounds}, indent=1) + "\n")
    print(table(rounds))


def measure(
    server: Server, python: str, version: Path, files: list[bytes], wanted: list[str], seconds: float
) -> dict[str, float]:
    """One start of a server: seconds to its first answer, memory, and requests a second and latency under load."""
    bodies = [server.encode(file) for file in files]
    with running(server, python, version, bodies[0]) as (url, process, started), ProcessPoolExecutor(1) as other:
        check(url, server, bodies, wanted)
        figures, headers = {"start_s": round(started, 1)}, [server.headers(body) for body in bodies]
        other.submit(load.run, url, bodies, 8, 2.0, headers).result()
        for callers in CALLERS:
            seen = other.submit(load.run, url, bodies, callers, seconds, headers).result()
            figures[f"http_{callers}"] = round(seen.throughput, 1)
            figures[f"p50_ms_{callers}"] = round(seen.percentile(0.5), 1)
            figures[f"p99_ms_{callers}"] = round(seen.percentile(0.99), 1)
            figures["failed"] = figures.get("failed", 0) + seen.failed
        return {**figures, "memory_mb": memory_mb(process.pid)}


@contextmanager
def running(
    server: Server, python: str, version: Path, body: bytes
) -> Iterator[tuple[str, subprocess.Popen[bytes], float]]:
    port = free_port()
    with TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            server.started_with(python, version, port),
            env=os.environ | surroundings(version, port),
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}{server.path}"
        try:
            while not answers(url, server, body):
                if process.poll() is not None or time.perf_counter() - began > _START_SECONDS:
                    log.seek(0)
                    raise SystemExit(f"no answer from {process.args}: {log.read()[-2000:].decode()}")
                time.sleep(0.05)
            yield url, process, time.perf_counter() - began
        finally:
            descendants = [process.pid, *children(process.pid)]
            process.terminate()
            try:
                process.wait(20)
            finally:
                for pid in descendants:
                    if Path(f"/proc/{pid}").exists():
                        os.kill(pid, signal.SIGKILL)
                process.wait()


def surroundings(version: Path, port: int) -> dict[str, str]:
    """Environment variables: where the peers' files and the model are, and MLServer's settings, which it takes so."""
    ports = {"HTTP_PORT": port, "GRPC_PORT": port + 1, "METRICS_PORT": port + 2}
    mlserver = {f"MLSERVER_{name}": str(value) for name, value in ports.items()} | {"MLSERVER_PARALLEL_WORKERS": "0"}
    return {"VERSION_FOLDER": str(version), "PYTHONPATH": str(FOLDER), "MLSERVER_HOST": "127.0.0.1", **mlserver}


def answers(url: str, server: Server, body: bytes) -> bool:
    try:
        return bool(ask(url, server, body))
    except OSError:
        return False


def ask(url: str, server: Server, body: bytes) -> str:
    request = urllib.request.Request(url, body, server.headers(body))
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode("utf-8", "replace").replace("\\", "")


def check(url: str, server: Server, bodies: list[bytes], wanted: list[str]) -> None:
    """The first server's first labels are the ones that all others must give."""
    for index, body in enumerate(bodies):
        text = ask(url, server, body)
        first = text[text.index('"label"') :].split('"')[3]
        if index == len(wanted):
            wanted.append(first)
        if first != wanted[index]:
            raise SystemExit(f"{url} answers image {index} with {first}, wanted {wanted[index]}: {text[:300]}")


def children(pid: int) -> list[int]:
    """Every process below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


def memory_mb(pid: int) -> float:
    """Proportional memory of a process and all below it."""
    total = 0
    for each in [pid, *children(pid)]:
        lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return round(total / 1024)


def free_port() -> int:
    """A free port; the two above it, which some peers take too, are hardly ever taken."""
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        return int(first.getsockname()[1])


def table(rounds: list[dict[str, dict[str, float]]]) -> str:
    """Medians over the rounds, as Markdown; the ratio is harmonic's throughput over the peer's in the same round."""
    keys = [f"http_{callers}" for callers in CALLERS] + ["p50_ms_1", "p99_ms_64", "start_s", "memory_mb"]
    lines = ["| server | " + " | ".join(keys) + " | harmonic / it, 64 callers |", "|" + "---|" * (len(keys) + 2)]
    for name in rounds[0]:
        cells = [f"{statistics.median(r[name][key] for r in rounds):,.1f}" for key in keys]
        ratios = [r["harmonic"]["http_64"] / r[name]["http_64"] for r in rounds]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {spread} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
