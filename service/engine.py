"""The routes' only door: submit, describe, control, statistics.

Whatever stands behind it, batchers in this process now, takes encoded images and gives logits. Knows nothing of HTTP.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.manifest import read_manifest
from export.repository import model_names, version_dir, versions
from service import catalog as catalogs
from service.batcher import Answer, Batcher, BatchStatistics
from service.catalog import BrokenVersion, Catalog, Entry, ReadyVersion
from service.cpus import usable_cpus
from service.documents import read_document
from service.errors import ControlRefused, Draining, ModelFailed, ModelNotFound, NotReady, TooManyImages
from service.exchange import Work, current
from service.metrics import Metrics, State, VersionMetrics
from service.preparation import Preparation
from service.session import check_installation, place
from service.settings import Settings
from service.tally import Figures, Tally

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one request: logits (images, classes), and where its time went, in seconds."""

    logits: NDArray[np.float32]
    decode_s: float
    queue_s: float
    inference_s: float
    batch_size: int


@dataclass(frozen=True, slots=True)
class _Served:
    """A ready version with its batcher."""

    entry: ReadyVersion
    batcher: Batcher
    metrics: VersionMetrics
    tally: Tally


class Visit:
    """A request that was let in: from here on it is answered, a shutdown included."""

    def __init__(self, served: _Served, preparation: Preparation, max_images: int) -> None:
        self._served = served
        self._preparation = preparation
        self._max_images = max_images
        self._answered = 0.0
        self.entry = served.entry
        self.succeeded = False

    async def submit(self, images: Sequence[bytes], priority: int = 0, timeout_s: float | None = None) -> Outcome:
        """Take a seat for encoded images, decode them, run them in company. Cancelling it frees the seat.

        priority: 1 is the most urgent, 0 the default. timeout_s: where shorter than the policy's deadline.
        Raises TooManyImages, Overloaded, DecodeError, DeadlineExceeded, ModelFailed.
        """
        self._check_number(len(images))
        with self._served.batcher.reserve(len(images), timeout_s, priority) as ticket:
            job = self._preparation.start(ticket, images, self.entry.manifest.pixels)
            answer = await ticket.answer()
        return self._outcome(answer, job.decode_s)

    async def submit_rows(self, rows: NDArray[Any], priority: int = 0, timeout_s: float | None = None) -> Outcome:
        """The same for rows of the model's input, (images, height, width, channels) of its own dtype."""
        self._check_number(len(rows))
        with self._served.batcher.reserve(len(rows), timeout_s, priority) as ticket:
            ticket.submit(rows)
            answer = await ticket.answer()
        return self._outcome(answer, 0.0)

    def note(self, outcome: Outcome, total_s: float) -> None:
        """Count an answered request, and tell the exchange it belongs to what was done for it."""
        self.succeeded = True
        output_s = time.monotonic() - self._answered
        self._served.metrics.observe_request(outcome.decode_s, outcome.queue_s, total_s)
        self._served.tally.succeeded(
            len(outcome.logits), outcome.decode_s, outcome.queue_s, outcome.inference_s, output_s, total_s
        )
        if exchange := current():
            exchange.work = Work(
                self.entry.name,
                self.entry.version,
                len(outcome.logits),
                outcome.batch_size,
                outcome.decode_s,
                outcome.queue_s,
                outcome.inference_s,
            )

    def _check_number(self, images: int) -> None:
        if images > self._max_images:
            raise TooManyImages(
                f"{images} images in one request; up to {self._max_images} are taken. Split the request."
            )

    def _outcome(self, answer: Answer, decode_s: float) -> Outcome:
        if not np.isfinite(answer.rows).all():
            raise ModelFailed("the model gave an answer that is no number")
        self._answered = time.monotonic()
        return Outcome(answer.rows, decode_s, answer.queue_s, answer.run_s, answer.batch_size)


class Engine:
    """The ready models of one repository, in this process."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._limits = settings.limits()
        self._catalog = Catalog((), (), settings.default_model)
        self._served: dict[tuple[str, int], _Served] = {}
        self._visits = 0
        self._state = "starting"

    async def start(self) -> None:
        """Load and check every model, once; returns when all that can serve do.

        Raises StartError for a device or an installation that will not do, RepositoryError without a repository.
        """
        if self._state != "starting":
            return
        self._idle = asyncio.Event()
        self._idle.set()
        self._catalog = await asyncio.to_thread(self._load)
        self._preparation = Preparation(self._settings.decode_threads or usable_cpus(), self._limits)
        for entry in self._catalog.ready:
            self._open(entry)
        self._metrics.watch(lambda: State(self._catalog, self.statistics(), self._visits))
        self._state = "serving"

    def ready(self) -> bool:
        """True while requests for the default model, or without one for every model, would be let in."""
        try:
            self._check_open()
            if self._catalog.default is not None:
                self._catalog.find(None, None)
        except (NotReady, ModelNotFound):
            return False
        return bool(self._catalog.ready)

    @property
    def in_flight(self) -> int:
        """Requests that were let in and are not yet answered."""
        return self._visits

    def describe(self) -> Catalog:
        """Every version there is, ready or broken."""
        return self._catalog

    def find(self, model: str | None, version: int | None) -> ReadyVersion:
        """The version that a request would be answered with. Raises what `visit` raises, but Overloaded."""
        self._check_open()
        return self._catalog.find(model, version)

    def index(self) -> list[dict[str, str]]:
        """Every version, as the model repository extension lists it."""
        return [_listed(entry) for name in self._catalog.names() for entry in self._catalog.versions(name)]

    async def load_model(self, name: str) -> None:
        """Load what is new of a model. Raises ControlRefused unless model control is explicit."""
        raise ControlRefused("model control is not explicit; models are loaded when the service starts")

    async def unload_model(self, name: str) -> None:
        """Take a model out of service. Raises ControlRefused unless model control is explicit."""
        raise ControlRefused("model control is not explicit; models serve until the service ends")

    def document(self, model: str, version: int, file: str) -> bytes:
        """A file beside a ready version's graph, for people to read. Blocking.

        Raises NotReady, ModelNotFound, DocumentNotFound.
        """
        return read_document(self._settings.repository, self._catalog.find(model, version), file)

    def statistics(self) -> dict[tuple[str, int], BatchStatistics]:
        """Counts of every ready version."""
        return {key: served.batcher.statistics() for key, served in self._served.items()}

    def figures(self) -> dict[tuple[str, int], Figures]:
        """What became of the requests of every ready version."""
        return {key: served.tally.figures() for key, served in self._served.items()}

    @contextmanager
    def visit(self, model: str | None, version: int | None) -> Iterator[Visit]:
        """Let a request in, before its body is read, or say at once why not.

        Raises Draining, NotReady, ModelNotFound, Overloaded.
        """
        entry = self.find(model, version)
        served = self._served[entry.name, entry.version]
        visit = Visit(served, self._preparation, self._settings.images_per_request)
        started = time.monotonic()
        self._visits += 1
        self._idle.clear()
        try:
            served.batcher.check()
            yield visit
        finally:
            if not visit.succeeded:
                served.tally.failed(time.monotonic() - started)
            self._visits -= 1
            if not self._visits:
                self._idle.set()

    @property
    def draining(self) -> bool:
        """True from the first moment of a shutdown."""
        return self._state == "draining"

    def close_door(self) -> None:
        """Let nobody in any more."""
        self._state = "draining"

    async def drain(self) -> None:
        """Let nobody in any more; return when every visit has ended."""
        self.close_door()
        await self._idle.wait()

    async def stop(self) -> None:
        """Stop now: what still waits is answered with Draining, and the threads end."""
        self._state = "draining"
        for served in self._served.values():
            served.batcher.stop()
        if self._served:
            self._preparation.close()

    def _check_open(self) -> None:
        if self._state == "draining":
            raise Draining("the service is shutting down; ask another instance")
        if self._state == "starting":
            raise NotReady("the models are still being loaded", retry_after_s=1)

    def _load(self) -> Catalog:
        check_installation()
        settings = self._settings
        placement = place(settings.device, settings.threads, _some_graph(settings.repository))
        started = time.monotonic()
        catalog = catalogs.load(
            settings.repository, placement, settings.policy, settings.instances, settings.default_model
        )
        log.info(
            "%d versions ready, %d left out, on %s (asked for %s, %d threads), in %.1f s",
            len(catalog.ready),
            len(catalog.broken),
            placement.provider,
            settings.device,
            placement.threads,
            time.monotonic() - started,
        )
        return catalog

    def _open(self, entry: ReadyVersion) -> None:
        metrics = self._metrics.version(entry.name, entry.version)
        runs = [session.run for session in entry.sessions]
        tally = Tally()

        def observe(images: int, seconds: float) -> None:
            metrics.observe_batch(images, seconds)
            tally.ran(images, seconds)

        batcher = Batcher(runs, entry.policy, observe, name=f"{entry.name}-{entry.version}")
        batcher.start()
        self._served[entry.name, entry.version] = _Served(entry, batcher, metrics, tally)


def _listed(entry: Entry) -> dict[str, str]:
    reason = entry.reason if isinstance(entry, BrokenVersion) else ""
    state = "UNAVAILABLE" if isinstance(entry, BrokenVersion) else "READY"
    return {"name": entry.name, "version": str(entry.version), "state": state, "reason": reason}


def _some_graph(root: Path) -> Path | None:
    """A graph of the repository that may be opened on CUDA to see whether CUDA works."""
    for name in model_names(root):
        for version in reversed(versions(root, name)):
            folder = version_dir(root, name, version)
            try:
                variant = read_manifest(folder).variant()
            except ExportError:
                continue
            if "cuda" in variant.devices and (folder / variant.file).is_file():
                return folder / variant.file
    return None
