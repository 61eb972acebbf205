"""What the service takes before anyone asks: seconds to its first answer, and memory at rest, of the embedded model."""

import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.running import end, free_port, memory_mb

_MODEL = Path(__file__).resolve().parents[1] / "models" / "cifar10"
_PATIENCE_S, _REST_S = 60, 1.0


def footprint(harmonic: str, rounds: int) -> dict[str, Any]:
    """Of one worker, with the embedded model alone."""
    with TemporaryDirectory() as folder:
        shutil.copytree(_MODEL, Path(folder) / "cifar10")
        found = [_start(harmonic, folder) for _ in range(rounds)]
    return {
        "ready_s": [ready for ready, _ in found],
        "memory_mb": [memory for _, memory in found],
        "image_mb": image_mb(),
    }


def _start(harmonic: str, repository: str) -> tuple[float, float]:
    port = free_port()
    began = time.perf_counter()
    process = subprocess.Popen(
        [harmonic, "serve", "--repository", repository, "--port", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        while not _ready(port):
            if process.poll() is not None or time.perf_counter() - began > _PATIENCE_S:
                raise SystemExit("harmonic serve is not ready")
            time.sleep(0.01)
        ready = time.perf_counter() - began
        time.sleep(_REST_S)
        return round(ready, 2), memory_mb(process.pid)
    finally:
        end(process)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except OSError:
        return False


def image_mb() -> float | None:
    """Of the CPU container, if this machine has built it (`make image`); None where it has not."""
    if not shutil.which("docker"):
        return None
    command = ["docker", "image", "inspect", "--format", "{{.Size}}", "harmonic:cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return round(int(done.stdout) / 1e6) if done.returncode == 0 else None
