"""What a GPU does with a version: alternating batches, memory, overlap, precision, stems, sizes, PyTorch, the service.

    python -m benchmarks.gpu --repository models --name resnet50 --bundle bundles/resnet50 --out runs/gpu
    python -m benchmarks.gpu --repository models --name tiny --device cpu --out runs/rehearsal

The first question is what alternating batch sizes cost, since dynamic batches alternate: the same images in batches of
one size, in sizes that change at every call, and these padded to sessions of their own. On a CPU every part runs that
can, as a rehearsal. With --serve the service is started too, and `harmonic load` asks it. Figures are medians over
rounds in which all ways take turns, in images a second.
"""

import argparse
import json
import platform
import shutil
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from export.manifest import NATIVE, Manifest, read_manifest
from export.repository import version_dir, versions
from export.runtime import ort
from service.runtime import Backend, Device, GpuOptions, Placement, Running, choose, open_session
from service.runtime.buckets import BucketSession

Call = Callable[[np.ndarray], object]
Cases = dict[str, tuple[Call, tuple[int, ...]]]  # name -> what is called, and the batch sizes, one after the other
PATIENCE_S = 300
_PLAIN = GpuOptions(padded=False)
_FOLDED = Running("folded", precisions=("fp32",))
GPU_WAYS = {
    "fp32": GpuOptions(),
    "tf32": GpuOptions(tf32=True),
    "tf32, channels last": GpuOptions(tf32=True, nhwc=True),
    "fp32, exhaustive search": GpuOptions(conv_search="exhaustive"),
    "fp32, graphs": GpuOptions(graphs=True),
    "tf32, channels last, graphs": GpuOptions(tf32=True, nhwc=True, graphs=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repository", type=Path, required=True)
    parser.add_argument("--name", required=True, help="A model of the repository; its newest version is measured.")
    parser.add_argument("--bundle", type=Path, help="The bundle that it was exported from, for PyTorch.")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--largest", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=20, help="Calls of each way in each round.")
    parser.add_argument("--serve", action="store_true", help="Measure the whole service, too.")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    version = max(versions(asked.repository, asked.name))
    bench = Bench(asked, version_dir(asked.repository, asked.name, version))
    found = {
        "command": " ".join(sys.argv),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "gpu": _gpu(),
            "onnxruntime": ort.__version__,
        },
        "model": f"{asked.name} {version}",
        "images a second": {part: bench.measured(cases) for part, cases in bench.parts()},
        "service": served(asked) if asked.serve else None,
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "gpu.json").write_text(json.dumps(found, indent=2) + "\n")
    print(table(found["images a second"]))


class Bench:
    """One version on one device."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self._asked, self._folder = asked, folder
        self._manifest: Manifest = read_manifest(folder)
        self._largest = min(asked.largest, self._manifest.max_batch)
        self._placement = Placement((Device(asked.device),), 1)
        if asked.device == "cuda":
            ort.preload_dlls()
        shape, dtype = self._manifest.pixels.shape, self._manifest.pixels.dtype
        self._images = np.random.default_rng(0).integers(0, 256, (self._largest, *shape)).astype(dtype)

    def parts(self) -> Iterator[tuple[str, Cases]]:
        """One after the other, so that the sessions of one are gone before the next."""
        yield "alternating batch sizes", self._alternating()
        yield "memory of the batches", self._memory()
        yield "two sessions", self._side_by_side()
        yield "ways of running", self._ways()
        yield "batch sizes", self._sizes()
        if self._asked.bundle:
            yield "PyTorch", self._pytorch()

    def measured(self, cases: Cases) -> dict[str, dict[str, float]]:
        """Median and range of the rounds, of images a second."""
        for call, sizes in cases.values():
            for size in {*sizes}:
                call(self._images[:size])
        found: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(self._asked.rounds):
            for name, (call, sizes) in cases.items():
                plan = [sizes[number % len(sizes)] for number in range(self._asked.calls)]
                start = time.perf_counter()
                for size in plan:
                    call(self._images[:size])
                found[name].append(sum(plan) / (time.perf_counter() - start))
        return {n: {"median": statistics.median(v), "least": min(v), "most": max(v)} for n, v in found.items()}

    def _alternating(self) -> Cases:
        half = max(1, self._largest // 2)
        changing = tuple(max(1, half - step) for step in (0, 3, 1, 5, 2, 4))
        plain, padded = self._open(_PLAIN), self._padded()
        return {
            f"one session, always {half}": (plain.run, (half,)),
            f"one session, {min(changing)} to {half}": (plain.run, changing),
            f"a session for each padded size, {min(changing)} to {half}": (padded.run, changing),
        }

    def _memory(self) -> Cases:
        session = self._padded()
        buffer = session.buffer(self._images.shape, self._images.dtype)
        buffer[...] = self._images
        # One more than half, so that padding is in it.
        sizes = (self._largest, self._largest // 2 + 1)
        return {
            "where numpy has it": (session.run, sizes),
            "the session's own": (lambda images: session.run(buffer[: len(images)]), sizes),
        }

    def _side_by_side(self) -> Cases:
        """One copies while the other computes, as `instances` does by default: two halves in turn, and at once."""
        sessions = [self._padded() for _ in range(2)]
        buffers = [session.buffer(self._images.shape, self._images.dtype) for session in sessions]
        threads = ThreadPoolExecutor(2)

        def run(number: int, part: np.ndarray) -> object:
            buffers[number][: len(part)] = part
            return sessions[number].run(buffers[number][: len(part)])

        def halves(images: np.ndarray) -> list[np.ndarray]:
            return [part for part in np.array_split(images, 2) if len(part)]

        def in_turn(images: np.ndarray) -> object:
            return [run(0, part) for part in halves(images)]

        def at_once(images: np.ndarray) -> object:
            return list(threads.map(run, (0, 1), halves(images)))

        sizes = (self._largest,)
        return {"one session, half after half": (in_turn, sizes), "two, a half each at once": (at_once, sizes)}

    def _ways(self) -> Cases:
        ways = GPU_WAYS if self._asked.device == "cuda" else {"fp32": _PLAIN}
        cases: Cases = {name: (self._open(gpu).run, (self._largest,)) for name, gpu in ways.items()}
        if any(variant.name == NATIVE for variant in self._manifest.variants):
            cases["fp32, native stem"] = (self._open(_PLAIN, Running("native")).run, (self._largest,))
        return cases

    def _sizes(self) -> Cases:
        session = self._padded()
        sizes = [size for size in (1, 2, 4, 8, 16, 32, 64, 128, 256) if size <= self._largest]
        return {f"batch {size}": (session.run, (size,)) for size in sizes}

    def _pytorch(self) -> Cases:
        import torch

        from harmonic.bundles import Classifier, load

        bundle = load(self._asked.bundle)
        eager = Classifier(bundle.model, bundle.card.pixels).to(self._asked.device).eval()
        compiled = torch.compile(eager)

        def asking(model: Callable[..., torch.Tensor]) -> Call:
            def call(images: np.ndarray) -> object:
                with torch.inference_mode():
                    return model(torch.from_numpy(images).to(self._asked.device)).cpu().numpy()

            return call

        return {"eager": (asking(eager), (self._largest,)), "torch.compile": (asking(compiled), (self._largest,))}

    def _open(self, gpu: GpuOptions, running: Running = _FOLDED) -> Backend:
        placement = replace(self._placement, gpu=gpu)
        variant = choose(self._manifest, running)[0]
        session = open_session(self._folder, self._manifest, variant, placement, self._largest, running)
        session.warm_up((1, self._largest))
        return session

    def _padded(self) -> BucketSession:
        path = self._folder / self._manifest.variant().file
        session = BucketSession(path, self._manifest, self._placement, self._largest)
        session.warm_up(())
        return session


def served(asked: argparse.Namespace) -> dict:
    """What `harmonic load` finds of the service, JPEGs in and labels out, with as many callers as a batch and more."""
    report = asked.out / "service.json"
    asked.out.mkdir(parents=True, exist_ok=True)
    with _service(asked) as address:
        command = [
            _harmonic(),
            "load",
            address,
            "--generate",
            "500x375",
            "--callers",
            "1,8,32,128",
            "--json",
            str(report),
        ]
        subprocess.run(command, check=True)
    return dict(json.loads(report.read_text()))


@contextmanager
def _service(asked: argparse.Namespace, port: int = 8765) -> Iterator[str]:
    address = f"http://127.0.0.1:{port}"
    flags = ["--repository", str(asked.repository), "--default-model", asked.name, "--device", asked.device]
    process = subprocess.Popen([_harmonic(), "serve", "--port", str(port), *flags])
    try:
        end = time.monotonic() + PATIENCE_S
        while not _ready(address):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"the service is not ready after {PATIENCE_S} s, or has ended; see its log above.")
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=60)


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _harmonic() -> str:
    return shutil.which("harmonic", path=str(Path(sys.executable).parent)) or "harmonic"


def _gpu() -> str | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def table(parts: dict[str, dict[str, dict[str, float]]]) -> str:
    """All figures as Markdown."""
    lines = ["| part | way | images/s | range |", "|---|---|---|---|"]
    for part, found in parts.items():
        for way, one in found.items():
            lines.append(f"| {part} | {way} | {one['median']:,.0f} | {one['least']:,.0f} to {one['most']:,.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
