"""How long graphs take in ONNX Runtime on this machine, as the service runs them: one thread, idle threads asleep."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from onnx import ModelProto, TensorProto, helper

from export.layout.convolution import Convolution
from export.layout.forms import write
from export.layout.writer import Writer
from export.processor import processor_name
from export.runtime import ort, session_options

_ROUNDS = 5
_SECONDS = 0.5  # for one layer: after that no new round begins, beyond the second
_SHORT = 0.06  # seconds in which calls of microseconds are repeated beyond those rounds: by themselves they tell little
_HOPELESS = 1.6  # times the fastest of the first round
_FINE = 1e-5  # seconds: a hundredth of the shortest call
_LEAST_PAIRS, _PAIRS = 3, 15
_SECONDS_OF_PAIRS = 4.0


def session(model: bytes | Path) -> Any:
    """A graph, open on the CPU as the service opens it, with one thread."""
    options = session_options()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def fastest_calls(sessions: Mapping[str, Any], images: ndarray) -> dict[str, float]:
    """Seconds of the fastest call of each session, called in turns; those far behind the others are dropped early, but
    not the first, which the others are compared with.

    What disturbs a call on a busy machine only ever makes it longer, so the fastest is the truest.
    """
    first, best = next(iter(sessions)), {name: _seconds(each, images) for name, each in sessions.items()}
    _repeat(sessions, images, best, 1, _SHORT / 3)
    limit = _HOPELESS * min(best.values())
    going = {name: each for name, each in sessions.items() if best[name] <= limit or name == first}
    _repeat(going, images, best, _ROUNDS, _SHORT)
    return best


def _repeat(sessions: Mapping[str, Any], images: ndarray, best: dict[str, float], rounds: int, short: float) -> None:
    """So many rounds of calls, and more while they take less than `short` seconds."""
    began, number = time.perf_counter(), 0
    while number < min(rounds, 2) or time.perf_counter() - began < (_SECONDS if number < rounds else short):
        for name, each in sessions.items():
            best[name] = min(best[name], _seconds(each, images))
        number += 1


def ratios(first: Any, second: Any, images: ndarray) -> list[float]:
    """How many times as long the first takes as the second, once for every pair of calls."""
    for each in (first, second):
        _seconds(each, images)
    found: list[float] = []
    end = time.perf_counter() + _SECONDS_OF_PAIRS
    while len(found) < _LEAST_PAIRS or (len(found) < _PAIRS and time.perf_counter() < end):
        found.append(_seconds(first, images) / _seconds(second, images))
    return found


def layer_graph(convolution: Convolution, form: str) -> ModelProto:
    """One layer as it stands in a network: behind a relu and before one, so that ONNX Runtime may keep its own order of
    memory on both sides. Input `x` (batch, channels, rows, columns)."""
    writer = Writer("layer")
    ones = np.ones((convolution.inputs, 1, 1, 1))
    before = writer.convolve("x", ones, bias=np.zeros(convolution.inputs), groups=convolution.inputs)
    answer = write(form, writer, convolution, writer.apply("Relu", [before]))
    end = writer.apply("GlobalAveragePool", [writer.apply("Relu", [answer])])
    shape: list[str | int | None] = ["batch", convolution.inputs, *convolution.size]
    graph = helper.make_graph(
        writer.nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, None)],
        writer.constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def serialised(model: ModelProto) -> bytes:
    """The bytes of a model."""
    return bytes(model.SerializeToString())


def device() -> str:
    """What decides which form is fastest: processor, and version of ONNX Runtime."""
    return f"{processor_name()}, ONNX Runtime {ort.__version__}"


def _seconds(run: Any, images: ndarray) -> float:
    clock = _clock()
    began = clock()
    run.run(None, {run.get_inputs()[0].name: images})
    return clock() - began


def _clock() -> Callable[[], float]:
    """Time of this thread alone, in which a session of one thread computes: what others do meanwhile does not count.

    Where the system counts a thread's time in ticks, the time on the wall.
    """
    return time.thread_time if time.get_clock_info("thread_time").resolution < _FINE else time.perf_counter
