"""The bound: what decoding and the model alone do in one process, a thread a CPU, without HTTP, queue or answer.

No server of the same graph in one process can do more.
"""

import os
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.peers.classifier import Classifier
from export.runtime import ort

_LEAST = 4  # batches of a thread


def bound(version: Path, files: list[bytes], batch: int, seconds: float) -> float:
    """Images a second."""
    classifier = Classifier(str(version))
    began = time.perf_counter()
    moments: list[list[float]] = [[] for _ in os.sched_getaffinity(0)]  # at which each thread ended its batches
    sessions = [_session(version / "model.onnx") for _ in moments]

    def work(number: int) -> None:
        turn, ended = number, moments[number]
        while len(ended) < _LEAST or time.perf_counter() - began < seconds:
            images = np.stack([classifier.decode(files[(turn + each) % len(files)]) for each in range(batch)])
            sessions[number].run(None, {"images": images})
            turn += batch
            ended.append(time.perf_counter())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(moments))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The first batch warms up.
    return sum(batch * (len(ended) - 1) / (ended[-1] - ended[0]) for ended in moments)


def _session(path: Path) -> "ort.InferenceSession":
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
