"""What is going on, while it goes on: a line that is rewritten on a terminal, a line a second elsewhere."""

import time
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.text import Text

from service.load.figures import failures
from service.load.plan import Pace
from service.load.samples import Samples, merge

_BARS = "▁▂▃▄▅▆▇█"
_REMEMBERED = 40  # seconds of throughput that are drawn
_EVERY_S = 1.0


class View:
    """Shows steps on stderr, so that stdout is for the results."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._terminal = self._console.is_terminal
        self._title, self._began, self._told = "", 0.0, 0.0
        self._parts: list[Samples] = []
        self._rates: list[float] = []

    def __enter__(self) -> Self:
        if self._terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._terminal:
            self._live.stop()

    def begin(self, pace: Pace, seconds: float | None) -> "View":
        """A step begins; gives what is called with its news."""
        self._title = f"{pace}" + (f", {seconds:g} s" if seconds else "")
        self._began = self._told = time.monotonic()
        self._parts, self._rates = [], []
        return self

    def __call__(self, news: Samples) -> None:
        self._parts.append(news)
        now = time.monotonic()
        if now - self._told < _EVERY_S:
            return
        line = self._line(merge(self._parts), now)
        self._told, self._parts = now, []
        if self._terminal:
            self._live.update(Text(line), refresh=True)
        else:
            self._console.print(line)

    def _line(self, samples: Samples, now: float) -> str:
        rate = float(samples.answered.sum()) / (now - self._told)
        self._rates = [*self._rates[-_REMEMBERED + 1 :], rate]
        found = samples.latency[samples.answered] * 1000
        p50, p99 = np.percentile(found, [50, 99], method="inverted_cdf") if len(found) else (np.nan, np.nan)
        failed = ", ".join(f"{count} x {kind}" for kind, count in failures(samples).items())
        drawn = f"  {_sparkline(self._rates)}" if self._terminal else ""
        return (
            f"{self._title}: {now - self._began:5.1f} s  {rate:7,.0f} answers/s  p50 {p50:.1f} ms  p99 {p99:.1f} ms"
            f"{f'  FAILED {failed}' if failed else ''}{drawn}"
        )


def _sparkline(values: list[float]) -> str:
    most = max(values) or 1.0
    return "".join(_BARS[min(int(value / most * len(_BARS)), len(_BARS) - 1)] for value in values)
