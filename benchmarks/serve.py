"""How much the service holds, as a share of what ONNX Runtime alone does with the same graph and threads.

    python -m benchmarks.serve --repository models --name cifar10 --out benchmarks/serve.json

Each round measures the bare runtime and the service in turn, so that a busy machine slows both. Figures are medians
of the rounds.
"""

import argparse
import io
import json
import platform
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import load
from export.manifest import read_manifest
from export.repository import version_dir, versions
from export.runtime import ort
from export.verify import synthetic_images
from service.runtime import usable_cpus

CALLERS = (1, 8, 64)


def main() -> None:
    options = _options()
    folder = version_dir(options.repository, options.name, max(versions(options.repository, options.name)))
    manifest = read_manifest(folder)
    pixels = synthetic_images(64, manifest.pixels)
    bodies = [_png(image) for image in pixels]
    session = _session(folder / manifest.variant().file)
    rounds = []
    with _Service(options.repository) as address, ProcessPoolExecutor(1) as other_process:
        url = f"{address}/v1/models/{options.name}/classify"
        other_process.submit(load.run, url, bodies, 8, 2.0).result()  # warm both
        for number in range(options.rounds):
            figures: dict[str, Any] = {f"bare_{b}": _bare(session, pixels[:b], options.seconds / 2) for b in (1, 32)}
            for callers in CALLERS:
                seen = other_process.submit(load.run, url, bodies, callers, options.seconds).result()
                figures[f"http_{callers}"] = seen.throughput
                figures[f"p50_ms_{callers}"], figures[f"p99_ms_{callers}"] = seen.percentile(0.5), seen.percentile(0.99)
                figures["failed"] = figures.get("failed", 0) + seen.failed
            rounds.append(figures)
            print(f"round {number + 1}: {json.dumps({key: round(value, 2) for key, value in figures.items()})}")
    _report(rounds, options, manifest.architecture)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", type=Path, default=Path("models"))
    parser.add_argument("--name", default="cifar10")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of load at each number of callers, in each round")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/serve.json"))
    return parser.parse_args()


class _Service:
    """`harmonic serve` in a process of its own."""

    def __init__(self, repository: Path) -> None:
        command = [
            str(Path(sys.executable).parent / "harmonic"),
            "serve",
            "--repository",
            str(repository),
            "--port",
            "0",
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> str:
        address = ""
        for line in self.process.stderr or ():
            if "running on " in line:
                address = line.split("running on ", 1)[1].split()[0]
            if " ready, " in line:  # the models are loaded
                return address
        raise SystemExit("the service did not start")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate()


def _session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = usable_cpus()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _bare(session: ort.InferenceSession, images: NDArray[np.uint8], seconds: float) -> float:
    """Images a second without HTTP, decoding or batching."""
    session.run(None, {"images": images})
    started, calls = time.perf_counter(), 0
    while (took := time.perf_counter() - started) < seconds:
        session.run(None, {"images": images})
        calls += 1
    return calls * len(images) / took


def _png(image: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


def _report(rounds: list[dict[str, Any]], options: argparse.Namespace, architecture: str) -> None:
    medians = {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}
    ratios = {callers: [r[f"http_{callers}"] / max(r["bare_1"], r["bare_32"]) for r in rounds] for callers in CALLERS}
    report = {
        "command": f"python -m benchmarks.serve --repository {options.repository} --name {options.name}",
        "architecture": architecture,
        "machine": {"cpus": usable_cpus(), "processor": platform.machine(), "onnxruntime": ort.__version__},
        "medians": medians,
        "share_of_bare": {c: {"median": statistics.median(v), "min": min(v), "max": max(v)} for c, v in ratios.items()},
        "rounds": rounds,
    }
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    for callers, values in ratios.items():
        print(
            f"{callers:3} callers: {medians[f'http_{callers}']:7,.0f} requests/s, "
            f"p50 {medians[f'p50_ms_{callers}']:6.2f} ms, p99 {medians[f'p99_ms_{callers}']:6.2f} ms, "
            f"{statistics.median(values):.2f} of the bare runtime "
            f"({min(values):.2f} to {max(values):.2f})"
        )


if __name__ == "__main__":
    main()
