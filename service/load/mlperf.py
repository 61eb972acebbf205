"""MLPerf's own load generator (LoadGen) in place of ours: it says when to send, and writes its own verdict.

A query is one image. The package is `mlcommons-loadgen`, the extra `mlperf`.
"""

import asyncio
import importlib
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from service.load.answers import fault
from service.load.plan import LoadError, LoadPlan
from service.load.samples import TIMEOUT, Recorder
from service.load.senders import Sender
from service.load.wire import Wire

_SUMMARY = "mlperf_log_summary.txt"


class Scenario(StrEnum):
    """One at a time; at random moments; all at once."""

    SingleStream = "SingleStream"
    Server = "Server"
    Offline = "Offline"


@dataclass(frozen=True, slots=True)
class Verdict:
    """valid: LoadGen says so and no request failed. summary: its own words."""

    valid: bool
    failed: int
    answered: int
    faults: tuple[str, ...]
    summary: str


class QuerySender(Sender):
    """Sends what LoadGen asks for, over a fixed number of connections, and tells it of each end."""

    def __init__(self, plan: LoadPlan, loadgen: Any) -> None:
        super().__init__(replace(plan, seconds=None, most_requests=None), Recorder(), fault, 0.0)
        self.ready = threading.Event()
        self._loadgen = loadgen
        self._loop: asyncio.AbstractEventLoop | None = None
        self._idle: deque[Wire] = deque()
        self._waiting: deque[tuple[int, int, float]] = deque()  # LoadGen's name of it, the image, the moment
        self._ids: dict[Wire, int] = {}

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        for _ in range(self.plan.connections):
            self.open_wire()

    def issue(self, queries: Sequence[Any]) -> None:
        """LoadGen's threads ask here."""
        now = time.perf_counter()
        if self._loop is None:
            raise RuntimeError("asked before the start")
        self._loop.call_soon_threadsafe(self._take, [(query.id, query.index, now) for query in queries])

    @property
    def over(self) -> bool:
        return self.stopped

    @property
    def pending(self) -> int:
        return len(self.busy) + len(self._waiting)

    def opened(self, wire: Wire) -> None:
        self.free(wire)
        if len(self.wires) == self.plan.connections:
            self.ready.set()

    def free(self, wire: Wire) -> None:
        self._idle.append(wire)
        self._serve()

    def gone(self, wire: Wire) -> None:
        if wire in self._idle:
            self._idle.remove(wire)
        self.open_wire()

    def unopened(self, began: float, outcome: int) -> None:
        asyncio.get_running_loop().call_later(0.1, self.open_wire)

    def settle(self, wire: Wire, now: float, outcome: int) -> None:
        super().settle(wire, now, outcome)
        self._complete(self._ids.pop(wire))

    def waited_too_long(self, since: float) -> None:
        now = time.perf_counter()
        while self._waiting and self._waiting[0][2] < since and not self.wires:
            name, _, moment = self._waiting.popleft()
            self.recorder.add(moment, now, now, TIMEOUT, held=True)
            self._complete(name)

    def _take(self, queries: list[tuple[int, int, float]]) -> None:
        self._waiting.extend(queries)
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._idle:
            name, image, _ = self._waiting.popleft()
            wire = self._idle.popleft()
            self._ids[wire] = name
            self.send_turn(wire, image, time.perf_counter(), held=False)

    def _complete(self, name: int) -> None:
        self._loadgen.QuerySamplesComplete([self._loadgen.QuerySampleResponse(name, 0, 0)])


def run_mlperf(
    plan: LoadPlan, scenario: Scenario, *, rate: float | None, slo_p99_ms: float, log: Path | None = None
) -> Verdict:
    """One run of one scenario, in which speed alone is measured. rate: of Server, and what Offline expects.

    Raises LoadError without the package.
    """
    try:
        loadgen = importlib.import_module("mlperf_loadgen")
    except ModuleNotFoundError as error:
        raise LoadError(
            "--mlperf needs MLPerf's LoadGen, which is not installed: pip install 'harmonic-inference[mlperf]'."
        ) from error
    if scenario is Scenario.Server and rate is None:
        raise LoadError("--mlperf Server needs the rate at which it asks: --rate.")
    settings = _settings(loadgen, scenario, plan, rate, slo_p99_ms)
    with TemporaryDirectory() as scratch:
        folder = log or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        at_work = _run(loadgen, plan, settings, folder)
        summary = (folder / _SUMMARY).read_text(encoding="utf-8")
    samples = at_work.recorder.samples()
    answered = int(samples.answered.sum())
    failed = len(samples) - answered
    valid = "Result is : VALID" in summary and not failed
    return Verdict(valid, failed, answered, tuple(at_work.faults[:10]), summary)


def _run(loadgen: Any, plan: LoadPlan, settings: Any, folder: Path) -> QuerySender:
    sender = QuerySender(plan, loadgen)
    thread = threading.Thread(target=lambda: asyncio.run(sender.run(_go_on)), daemon=True, name="sender")
    # LoadGen waits in C++, where Python hears no Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    system = loadgen.ConstructSUT(sender.issue, _nothing)
    library = loadgen.ConstructQSL(len(plan.requests), len(plan.requests), _nothing_with, _nothing_with)
    try:
        thread.start()
        if not sender.ready.wait(plan.timeout_s):
            raise LoadError(f"{plan.address.origin} did not take {plan.connections} connections.")
        loadgen.StartTestWithLogSettings(system, library, settings, _logs(loadgen, folder))
    finally:
        sender.stopped = True
        thread.join(plan.timeout_s)
        loadgen.DestroyQSL(library)
        loadgen.DestroySUT(system)
        signal.signal(signal.SIGINT, before)
    return sender


def _settings(loadgen: Any, scenario: Scenario, plan: LoadPlan, rate: float | None, slo_p99_ms: float) -> Any:
    made = loadgen.TestSettings()
    made.scenario = getattr(loadgen.TestScenario, scenario)
    made.mode = loadgen.TestMode.PerformanceOnly
    made.min_duration_ms = int(1000 * (plan.seconds or 0))
    made.min_query_count = plan.most_requests or 1
    made.use_token_latencies = False
    if scenario is Scenario.Server:
        made.server_target_qps = rate
        made.server_target_latency_ns = int(slo_p99_ms * 1e6)
        made.server_target_latency_percentile = 0.99
    elif scenario is Scenario.Offline:
        made.offline_expected_qps = rate or 100.0
    return made


def _logs(loadgen: Any, folder: Path) -> Any:
    output = loadgen.LogOutputSettings()
    output.outdir = str(folder)
    output.copy_summary_to_stdout = False
    made = loadgen.LogSettings()
    made.log_output, made.enable_trace = output, False
    return made


def _go_on() -> bool:
    return False


def _nothing() -> None:
    pass


def _nothing_with(_: Sequence[int]) -> None:
    pass
