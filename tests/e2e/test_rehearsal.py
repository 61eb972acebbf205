"""The bench of a GPU, on the CPU: every part that can run does, and its figures are written beside the command."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_bench_of_a_gpu_is_rehearsed_on_the_cpu(tmp_path):
    command = ["--name", "cifar10", "--device", "cpu", "--largest", "3", "--rounds", "1", "--calls", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--repository", "models", *command, "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    parts = found["images a second"]
    wanted = ["alternating batch sizes", "memory of the batches", "two sessions", "ways of running", "batch sizes"]
    assert list(parts) == wanted
    assert all(one["most"] >= one["median"] >= one["least"] > 0 for ways in parts.values() for one in ways.values())
    assert [len(ways) for ways in parts.values()][:3] == [3, 2, 2]
    assert "--device cpu" in found["command"]
    assert done.stdout.startswith("| part | way |")
