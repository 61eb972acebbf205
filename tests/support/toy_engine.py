"""A small engine behind the service's door, in pure Python: it sees which colour is strongest, at once and alone.

It knows no folder, no queue, no thread and no ONNX: what it needs to serve is all that the door asks for.
"""

import asyncio
import io
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.manifest import Manifest
from service.batching import BatchPolicy, BatchStatistics
from service.config import Split
from service.decoding import Loan
from service.engine import ANYBODY, BrokenVersion, Caller, Catalog, Entry, Unloaded, VersionFacts
from service.errors import ControlRefused, DocumentNotFound, Draining, ImageFormatError, NotReady, too_many
from service.ranking import Ranked, rank
from service.telemetry import Answered, Figures, Tally, remember


class ToyVisit:
    """A request at the toy."""

    def __init__(self, engine: "ToyEngine") -> None:
        self._engine = engine
        self.facts = engine.facts
        self.noted = False

    async def submit(
        self,
        images: Sequence[bytes],
        priority: int = 0,
        timeout_s: float | None = None,
        caller: Caller = ANYBODY,
        loan: Loan | None = None,
        best: int = 0,
    ) -> tuple[Ranked, Answered]:
        """Decode, resize, answer."""
        started = time.monotonic()
        rows = np.stack([self._row(image) for image in images])
        return self._answer(rows, time.monotonic() - started, best)

    async def submit_rows(
        self,
        rows: NDArray[Any],
        priority: int = 0,
        timeout_s: float | None = None,
        caller: Caller = ANYBODY,
        best: int = 0,
    ) -> tuple[Ranked, Answered]:
        """Answer."""
        return self._answer(rows, 0.0, best)

    def note(self, answered: Answered) -> None:
        """Count it."""
        self.noted = True
        self._engine.tally.succeeded(answered)
        remember(answered)

    def _row(self, image: bytes) -> NDArray[np.uint8]:
        spec = self.facts.manifest.pixels
        try:
            return np.asarray(Image.open(io.BytesIO(image)).convert("RGB").resize((spec.width, spec.height)))
        except OSError:
            raise ImageFormatError("not an image that the toy knows") from None

    def _answer(self, rows: NDArray[Any], decode_s: float, best: int) -> tuple[Ranked, Answered]:
        most = self.facts.policy.max_size
        if len(rows) > most:
            raise too_many(len(rows), most)
        started = time.monotonic()
        logits = rows.mean((1, 2), dtype=np.float32) * np.float32(8 / 255)
        seconds = time.monotonic() - started
        self._engine.ran(len(rows), seconds)
        images = len(rows)
        times = Answered(self.facts.name, self.facts.version, images, images, decode_s, 0.0, seconds)
        return rank(logits, best), times


class ToyEngine:
    """One version of one model. manifest: what it promises; a second version of it is always broken."""

    def __init__(self, manifest: Manifest) -> None:
        self.facts = VersionFacts(manifest.name, 1, manifest, BatchPolicy(), "toy")
        self.tally = Tally()
        self._catalog = Catalog((self.facts,), (BrokenVersion(manifest.name, 2, "always broken"),), manifest.name)
        self._calls = self._images = self._visits = 0
        self._state = "starting"
        self._leaving = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Nothing to load."""
        if self._state == "starting":
            self._state = "serving"

    def ready(self) -> bool:
        return self._state == "serving" and not self._leaving

    def alive(self) -> bool:
        return True

    @property
    def in_flight(self) -> int:
        return self._visits

    @property
    def leaving(self) -> bool:
        return self._leaving

    def parting(self) -> bool:
        return self._leaving

    def describe(self) -> Catalog:
        return self._catalog if self._state != "starting" else Catalog((), (), None)

    async def gather(self) -> None:
        """There is nothing elsewhere."""

    def find(self, model: str | None, version: int | None) -> VersionFacts:
        self._check_open()
        return self._catalog.find(model, version)

    async def have(self, model: str | None, version: int | None, seconds: float | None = None) -> None:
        self.find(model, version)

    @contextmanager
    def visit(self, model: str | None, version: int | None) -> Iterator[ToyVisit]:
        self.find(model, version)
        visit, started = ToyVisit(self), time.monotonic()
        self._visits += 1
        self._idle.clear()
        try:
            yield visit
        finally:
            if not visit.noted:
                self.tally.failed(time.monotonic() - started)
            self._visits -= 1
            if not self._visits:
                self._idle.set()

    async def index(self) -> list[Entry | Unloaded]:
        self._check_open()
        return [*self._catalog.ready, *self._catalog.broken]

    async def load_model(self, name: str) -> None:
        self._check_open()
        raise ControlRefused(f"the toy is what it is, and loads no {name!r}")

    unload_model = reset_norm = load_model

    async def split_model(self, name: str, split: Split | None) -> None:
        await self.load_model(name)

    def document(self, model: str, version: int, file: str) -> bytes:
        self.find(model, version)
        raise DocumentNotFound(f"{model} brings no {file}")

    def statistics(self) -> dict[tuple[str, int], BatchStatistics]:
        counts = BatchStatistics(0, self._calls, self._images, 0, 0, 0, 0, 0)
        return {(self.facts.name, self.facts.version): counts}

    def figures(self) -> dict[tuple[str, int], Figures]:
        return {(self.facts.name, self.facts.version): self.tally.figures()}

    def ran(self, images: int, seconds: float) -> None:
        """Count a model call."""
        self._calls += 1
        self._images += images
        self.tally.ran(images, seconds)

    def leave(self) -> None:
        self._leaving = True

    def close_door(self) -> None:
        self._leaving = True
        self._state = "draining"

    async def drain(self) -> None:
        self.close_door()
        await self._idle.wait()

    async def stop(self) -> None:
        self.close_door()

    def _check_open(self) -> None:
        if self._state == "draining":
            raise Draining("the toy is put away")
        if self._state == "starting":
            raise NotReady("the toy is not unpacked yet", retry_after_s=1)
