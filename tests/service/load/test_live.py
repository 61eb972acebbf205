"""What is shown while a load runs."""

import io

from rich.console import Console

from service.load.live import View
from service.load.plan import OpenPace
from service.load.samples import Recorder, Samples


def news(kind: int = 200) -> Samples:
    recorder = Recorder()
    for number in range(10):
        recorder.add(1.0, 1.0, 1.0 + (number + 1) / 100, kind)
    return recorder.samples()


def shown(terminal: bool, monkeypatch) -> str:
    clock = iter([0.0, 0.5, 2.0, 2.5, 3.0])
    monkeypatch.setattr("service.load.live.time.monotonic", lambda: next(clock))
    text = io.StringIO()
    with View(Console(file=text, force_terminal=terminal, width=150, highlight=False)) as view:
        watch = view.begin(OpenPace(5.0), 10.0)
        # Nothing within the first second, then all of it; the same again.
        for each in (news(), news(), news(429), news()):
            watch(each)
    return text.getvalue()


def test_a_pipe_takes_a_line_a_second(monkeypatch):
    first, second = shown(False, monkeypatch).splitlines()
    assert first == "5 requests/s, 10 s:   2.0 s       10 answers/s  p50 50.0 ms  p99 100.0 ms"
    assert second.endswith("10 answers/s  p50 50.0 ms  p99 100.0 ms  FAILED 10 x 429 Too Many Requests")


def test_a_terminal_has_one_line_with_the_course_of_throughput(monkeypatch):
    said = shown(True, monkeypatch)
    assert "██" in said
    assert "FAILED 10 x 429" in said
