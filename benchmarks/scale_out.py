"""The service by Ray Serve beside the service as it is alone: requests a second, and how long one takes.

    python -m benchmarks.scale_out --repository models                 # one process, Ray's proxy, HAProxy; a replica
    python -m benchmarks.scale_out --repository models --replicas 2    # two workers, and two replicas

All run at the same time and are asked in turn, so that a busy machine slows all; what counts is the ratio of the
medians. A process that is not asked costs next to nothing, a cluster of Ray about a tenth of a CPU.
"""

import argparse
import io
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks import load

HARMONIC = str(Path(sys.executable).parent / "harmonic")
_PATIENCE_S = 120
_FIRST_PORT = 28800  # neither the kernel gives it away, nor does Ray to its workers (10002 to 19999)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", type=Path, default=Path("models"))
    parser.add_argument("--replicas", type=int, default=1)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load on each, in each round")
    parser.add_argument("--model", default="cifar10")
    asked = parser.parse_args()
    deployed = ["deploy", "ray", "--replicas", str(asked.replicas)]
    commands = {
        "`harmonic serve`": ["serve", "--workers", str(asked.replicas), "--threads", "1"],
        "Ray, its own proxy": deployed,
        "Ray, HAProxy": [*deployed, "--haproxy"],
    }
    found: dict[str, list[load.Load]] = {name: [] for name in commands}
    bodies, heads = _bodies(), [{"Content-Type": "image/jpeg"}] * 16
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(_serving(words, asked.repository, _FIRST_PORT + number))
            for number, (name, words) in enumerate(commands.items())
        }
        for _ in range(asked.rounds):
            for name, url in urls.items():
                path = f"{url}/v1/models/{asked.model}/classify"
                found[name].append(load.run(path, bodies, asked.callers, asked.seconds, heads))
    _tell(found)


@contextmanager
def _serving(words: list[str], repository: Path, port: int) -> Iterator[str]:
    """A command that serves, once it is ready; then told to end."""
    process = subprocess.Popen(
        [HARMONIC, *words, "--repository", str(repository), "--port", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _until_ready(url, process)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"{' '.join(map(str, process.args))} is not ready: run it by hand to see why")


def _bodies() -> list[bytes]:
    """Small photographs' like."""
    made = []
    for seed in range(16):
        noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(noise).resize((32, 32), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        made.append(file.getvalue())
    return made


def _tell(found: dict[str, list[load.Load]]) -> None:
    first = median(run.throughput for run in next(iter(found.values())))
    print("| | requests/s | ratio of the medians | p50 ms | p99 ms | failed |\n|---|---|---|---|---|---|")
    for name, runs in found.items():
        rates = [run.throughput for run in runs]
        middle = (median(run.percentile(share) for run in runs) for share in (0.5, 0.99))
        figures = [f"{min(rates):,.0f} to {max(rates):,.0f}", f"{median(rates) / first:.2f}"]
        figures += [*(f"{one:.1f}" for one in middle), str(sum(run.failed for run in runs))]
        print(f"| {name} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
