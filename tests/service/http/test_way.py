"""The way of a request, followed through every file between the route and the answer, is the documented one."""

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.responses import Response

from tests.support.engines import app_of, asking, local
from tests.support.images import plain

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("## A request's way\n")[2]
SECTION = PAGE.partition("\n## ")[0]
ROUTE = "service/http/routes/classify.py"
MOST = 14


def documented(start: str) -> list[str]:
    """The files that the lines of the section name which begin so, in order."""
    lines = [line for line in SECTION.splitlines() if re.match(start, line)]
    return [file for line in lines for file in re.findall(r"`((?:service|harmonic)/[a-z0-9_/]+\.py)`", line)]


class Follower:
    """Writes down which files of ours are entered, and by which kind of thread, from the route to its answer."""

    def __init__(self) -> None:
        self.here: list[str] = []  # in the request's own thread, in the order of the first entry
        self.elsewhere: set[str] = set()
        self._loop = threading.current_thread()
        self._on = False  # between the route and its answer
        self._runs = False  # the loop is at this request, and at no other task

    def __call__(self, frame: FrameType, event: str, given: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event not in {"call", "return"} or not path.is_relative_to(ROOT):
            return
        file = path.relative_to(ROOT).as_posix()
        if not file.startswith(("service/", "harmonic/")):
            return
        if frame.f_code.co_name == "classify" and file == ROUTE:
            self._runs = event == "call"
            self._on = not isinstance(given, Response)  # a route that only waits gives something else
        if threading.current_thread() is not self._loop:
            self.elsewhere |= {file} if self._on else set()
        elif self._runs and file not in self.here:
            self.here.append(file)


@contextmanager
def following(follow: Callable[[FrameType, str, Any], None]) -> Iterator[None]:
    threading.setprofile(follow)  # for the threads that the engine is going to start
    sys.setprofile(follow)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def test_a_request_passes_few_files_and_they_are_the_documented_ones(repository: Path) -> None:
    follower = Follower()
    with following(follower):
        async with asking(app_of(local(repository), repository)) as client:
            answer = await client.post("/v1/classify", content=plain("red", (40, 40)))
    assert answer.status_code == 200, answer.text
    way, layers, told = documented(r"\d+\. "), documented(r"\* In front|  route may know"), documented(r"\* Told")
    assert follower.here[0] == way[0] == ROUTE
    assert set(follower.here) - set(layers) - set(told) == set(way)
    assert len(way) <= MOST
    assert follower.elsewhere - set(way) - set(told) <= set(documented(r"\* Decoding")) | set(documented(r"\* Running"))
    assert {"service/decoding/png.py", "service/runtime/session.py"} <= follower.elsewhere
