"""What front ends and an owner of the models cost: CPU time a request in each process, and where 16 CPUs are full.

    python -m benchmarks.owner                     # the owner alone, with a stand-in for a GPU
    python -m benchmarks.owner --serve             # whole services of a tiny network on CPUs, asked in turn by wrk

The stand-in takes a + b n seconds for n images and leaves the interpreter to the others meanwhile, as a GPU does. The
feeders hand over images that need no decoding, so the owner is what is measured. CPU time counts, not
requests a second: others may work on the machine, and feeders take CPUs that a GPU's machine has more of.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import uvloop
from PIL import Image
from prometheus_client import CollectorRegistry

from benchmarks.running import children, end, free_port
from benchmarks.workloads import TINY, prepare
from export.manifest import GOLDENS, MANIFEST, Manifest, ParityReport, Variant, sha256
from export.repository import publishing
from harmonic.pixels import PixelSpec
from service.config import Settings
from service.engine import LocalEngine
from service.handover import ModelOwner, RemoteEngine, ends
from service.runtime import backend
from service.telemetry import Metrics

CLASSES, FILE = 1000, "stand-in.bin"


class StandIn:
    """Takes its time and knows nothing."""

    provider = "stand-in"

    def __init__(self, call_s: float, image_s: float) -> None:
        self._call_s = call_s
        self._image_s = image_s
        self._logits = np.zeros((128, CLASSES), np.float32)

    def buffer(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.empty(shape, dtype)

    def run(self, images: np.ndarray) -> np.ndarray:
        time.sleep(self._call_s + self._image_s * len(images))
        return self._logits[: len(images)]

    def warm_up(self, batches: tuple[int, ...]) -> None:
        """Always warm."""

    def follow_traffic(self) -> None:
        """Nothing to follow."""

    def reset(self) -> None:
        """Nothing to forget."""


def publish(root: Path, side: int) -> None:
    """A version that the stand-in runs."""
    with publishing(root, "stand-in") as (folder, _):
        (folder / FILE).write_bytes(b"nothing")
        np.savez(folder / GOLDENS, images=np.zeros((1, side, side, 3), np.uint8), logits=np.zeros((1, CLASSES), "f4"))
        manifest = Manifest(
            name="stand-in",
            architecture="none",
            parameters=0,
            classes=tuple(f"class {number}" for number in range(CLASSES)),
            pixels=PixelSpec(height=side, width=side),
            max_batch=128,
            opset=18,
            variants=(Variant(file=FILE),),
            parity=ParityReport(batches=(1,), max_error=0, mean_error=0, top1_agreement=1, largest_logit=0),
            license="Apache-2.0",
            created="2026-01-01T00:00:00Z",
            files={file: sha256(folder / file) for file in (FILE, GOLDENS)},
        )
        (folder / MANIFEST).write_text(manifest.model_dump_json())


def settings(root: Path) -> Settings:
    return Settings(
        repository=root, device="cpu", instances=2, max_batch=128, max_queue=4096, slot_bytes=2**29, decode_threads=1
    )


async def own(root: Path, feeders: int, callers: int, seconds: float) -> dict[str, float]:
    """Own the stand-in's model for so many processes of so many callers each."""
    models = LocalEngine(settings(root), Metrics(CollectorRegistry()))
    owner = ModelOwner(models)
    await models.start()
    owner.open()
    processes = []
    for _ in range(feeders):
        (bell, letters), way = ends()
        owner.meet(bell, letters)
        numbers = [str(one.fileno()) for one in way]
        command = [sys.executable, "-m", "benchmarks.owner", "--feed", *numbers, "--callers", str(callers)]
        command += ["--repository", str(root), "--seconds", str(seconds)]
        processes.append(
            subprocess.Popen(command, pass_fds=[int(word) for word in numbers], stdout=subprocess.PIPE, text=True)
        )
        for one in way:
            one.close()
    while not all(models.statistics().values()) or _images(models) < 4 * feeders * callers:
        await asyncio.sleep(0.05)
    images, calls, cpu, began = _images(models), _calls(models), time.process_time(), time.perf_counter()
    await asyncio.sleep(0.8 * seconds)
    images, calls, cpu = _images(models) - images, _calls(models) - calls, time.process_time() - cpu
    wall = time.perf_counter() - began
    found = [json.loads((await asyncio.to_thread(process.communicate))[0]) for process in processes]
    await owner.close()
    await models.stop()
    return {
        "requests_per_s": images / wall,
        "mean_batch": images / max(1, calls),
        "owner_us": cpu / images * 1e6,
        "feeder_us": median(each["cpu_us"] for each in found),
        "owner_busy": cpu / wall,
    }


def _images(models: LocalEngine) -> int:
    return sum(found.images for found in models.statistics().values())


def _calls(models: LocalEngine) -> int:
    return sum(found.calls for found in models.statistics().values())


async def feed(numbers: list[int], root: Path, callers: int, seconds: float) -> None:
    """One front end, without HTTP: every caller asks again as soon as it is answered."""
    engine = RemoteEngine(settings(root), Metrics(CollectorRegistry()))
    bell, letters = (socket.socket(fileno=number) for number in numbers)
    await engine.connect(bell, letters)
    await engine.start()
    rows = np.zeros((1, *engine.find(None, None).manifest.pixels.shape), np.uint8)
    over, answered = time.monotonic() + seconds + 1.0, 0

    async def ask() -> None:
        nonlocal answered
        while time.monotonic() < over:
            with engine.visit(None, None) as visit:
                await visit.submit_rows(rows, best=5)
                answered += 1

    cpu = time.process_time()
    await asyncio.gather(*(ask() for _ in range(callers)))
    print(json.dumps({"cpu_us": (time.process_time() - cpu) / answered * 1e6}))
    await engine.stop()


SHAPES = {
    "one process": (),
    "two whole workers": ("--workers", "2"),
    "two front ends and an owner": ("--workers", "2", "--owner", "always"),
}


def serve(root: Path, rounds: int, seconds: float, callers: int) -> dict[str, list[dict[str, Any]]]:
    """Whole services at the same time, asked in turn."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in SHAPES}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder) / "body.png", Path(folder) / "post.lua"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(body)
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = io.open("{body}", "rb"):read("*a")\n'
            'wrk.headers["Content-Type"] = "image/png"\n'
        )
        services = {name: stack.enter_context(_service(root, flags)) for name, flags in SHAPES.items()}
        for _ in range(rounds):
            for name, (url, pid) in services.items():
                before = _cpu(pid)
                command = ["wrk", "-t1", f"-c{callers}", f"-d{seconds:g}s", "--latency", "-s", script]
                said = subprocess.run([*command, f"{url}/v1/classify"], capture_output=True, text=True, check=True)
                found[name].append(_figures(said.stdout, before, _cpu(pid)))
    return found


@contextmanager
def _service(root: Path, flags: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    port = free_port()
    command = [str(Path(sys.executable).with_name("harmonic")), "serve", "--device", "cpu", "--port", str(port)]
    log = subprocess.DEVNULL
    process = subprocess.Popen([*command, "--repository", str(root), *flags], stdout=log, stderr=log)
    try:
        for _ in range(1200):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                    break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        end(process)


def _cpu(pid: int) -> dict[str, float]:
    """Seconds of CPU time so far, by what a process does."""
    found: dict[str, float] = {}
    for each in (pid, *children(pid)):
        kind = Path(f"/proc/{each}/comm").read_text().strip()
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        found[kind] = found.get(kind, 0.0) + ticks / os.sysconf("SC_CLK_TCK")
    return found


def _figures(said: str, before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    requests = int(re.search(r"(\d+) requests in", said)[1])
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"not every request was answered well:\n{said}")
    return {
        "requests_per_s": float(re.search(r"Requests/sec:\s+([0-9.]+)", said)[1]),
        "p99": re.search(r"^\s+99%\s+(\S+)", said, re.MULTILINE)[1],
        "cpu_us": {kind: (after[kind] - before.get(kind, 0.0)) / requests * 1e6 for kind in after},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", action="store_true", help="measure whole services of a tiny network")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--callers", type=int, default=32, help="of each feeder, or of a service")
    parser.add_argument("--feeders", type=int, default=2)
    parser.add_argument("--side", type=int, default=224, help="of the images that feeders hand over")
    parser.add_argument("--call-ms", type=float, default=1.0, help="the stand-in's time of any call")
    parser.add_argument("--image-us", type=float, default=20.0, help="and of each image")
    parser.add_argument("--feed", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--repository", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.feed:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(feed(asked.feed, asked.repository, asked.callers, asked.seconds))
        return
    if asked.serve:
        root = prepare(TINY, print).parents[1]
        print(json.dumps(serve(root, asked.rounds, asked.seconds, asked.callers), indent=1))
        return
    backend("stand-in", lambda opening: opening.variant.file == FILE)(
        lambda _: StandIn(asked.call_ms / 1e3, asked.image_us / 1e6)
    )
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder), asked.side)
        for _ in range(asked.rounds):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                print(json.dumps(runner.run(own(Path(folder), asked.feeders, asked.callers, asked.seconds))))


if __name__ == "__main__":
    main()
