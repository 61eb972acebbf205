"""The door: all that those in front of an engine may ask of it. Knows facts and arrays; no session, no queue, no HTTP.

Whatever stands behind it, batchers in this process, another process or a cluster, keeps the same promises:
tests/service/engine/test_door.py holds an engine to them.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from service.batching import BatchStatistics
from service.config import Split
from service.decoding import Loan
from service.engine.catalog import Catalog, Entry, Unloaded, VersionFacts
from service.ranking import Ranked
from service.telemetry import Answered, Figures

Key = tuple[str, int]  # a version: its model's name, its number


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. key: name of its API key, whose share of the service it takes; empty where none is wanted.

    most_urgent: level of priority that it may claim; None for none above each model's default.
    """

    key: str = ""
    most_urgent: int | None = 1


ANYBODY = Caller()


class Visit(Protocol):
    """A request that was let in: from here on it is answered, a shutdown included."""

    @property
    def facts(self) -> VersionFacts:
        """The version that answers."""
        ...

    async def submit(
        self,
        images: Sequence[bytes],
        priority: int = 0,
        timeout_s: float | None = None,
        caller: Caller = ANYBODY,
        loan: Loan | None = None,
        best: int = 0,
    ) -> tuple[Ranked, Answered]:
        """Decode images and run them: the logits, (images, classes), and where the time went. May be cancelled.

        priority: 1 is the most urgent, 0 the default, as far as the caller may claim it. timeout_s: where shorter than
        the policy's deadline. loan: what counts the images' bytes, until the last of them is let go. best: how many of
        each image's likeliest classes to work out beside the logits, at least; there are no more than classes.
        Raises TooManyImages, Overloaded, DecodeError, DeadlineExceeded, ModelFailed, Draining.
        """
        ...

    async def submit_rows(
        self,
        rows: NDArray[Any],
        priority: int = 0,
        timeout_s: float | None = None,
        caller: Caller = ANYBODY,
        best: int = 0,
    ) -> tuple[Ranked, Answered]:
        """The same for rows of the model's input, (images, height, width, channels) of its own dtype."""
        ...

    def note(self, answered: Answered) -> None:
        """Count the request as answered, now that its answer is written. One that is never noted has failed."""
        ...


class Engine(Protocol):
    """Models that may be asked: what serves, requests, control, a start and an end."""

    async def start(self) -> None:
        """Have every model ready that can be; once, however often it is called. Raises StartError, RepositoryError."""
        ...

    def ready(self) -> bool:
        """True while requests for the default model, or without one for every model, would be let in.

        False from the first moment of a shutdown, though requests are still let in for a while.
        """
        ...

    def alive(self) -> bool:
        """False once something is broken that only a new process may mend."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests that were let in and are not yet answered."""
        ...

    @property
    def leaving(self) -> bool:
        """True from the first moment of a shutdown."""
        ...

    def parting(self) -> bool:
        """True if the caller who gets the answer that is being written shall come again on another connection.

        Asked once for each answer. Always true from the first moment of a shutdown.
        """
        ...

    def describe(self) -> Catalog:
        """Every version there is, ready or broken."""
        ...

    async def gather(self) -> None:
        """Learn what stands elsewhere behind the door, such as in other processes; a moment at most.

        `describe`, `statistics`, `figures` and `in_flight` then tell of everything, as it was at this moment.
        """
        ...

    def find(self, model: str | None, version: int | None) -> VersionFacts:
        """The version that a request would be answered with. Raises what `visit` raises, but Overloaded."""
        ...

    async def have(self, model: str | None, version: int | None, seconds: float | None = None) -> None:
        """Return when the version is in memory that a request would be answered with; `visit` it at once, or it may be
        let go again.

        For those who got NotLoaded. seconds: longest wait, where shorter than the model's deadline.
        Raises what `find` raises, but NotLoaded; DeadlineExceeded.
        """
        ...

    def visit(self, model: str | None, version: int | None) -> AbstractContextManager[Visit]:
        """Let a request in, before its body is read, or say at once why not.

        Raises Draining, NotReady, ModelNotFound, Overloaded; NotLoaded where the version is loaded on demand.
        """
        ...

    async def index(self) -> list[Entry | Unloaded]:
        """Every version, and the models that could be loaded and are not. Raises NotReady, Draining."""
        ...

    async def load_model(self, name: str) -> None:
        """Load what is new of a model; returns when it serves. Raises ControlRefused, ModelNotFound, NotReady."""
        ...

    async def unload_model(self, name: str) -> None:
        """Take a model out of service; returns when its last request is answered. Raises as `load_model` does."""
        ...

    async def split_model(self, name: str, split: Split | None) -> None:
        """Share the requests for a model that name no version among its versions, or no more.

        Raises ControlRefused, ModelNotFound, NotReady.
        """
        ...

    async def reset_norm(self, name: str) -> None:
        """Put a model's adaptive norms back to training's figures. Raises ControlRefused, ModelNotFound, NotReady."""
        ...

    def document(self, model: str, version: int, file: str) -> bytes:
        """A file beside a ready version's graph, for people to read. Blocking.

        Raises NotReady, ModelNotFound, DocumentNotFound.
        """
        ...

    def statistics(self) -> Mapping[Key, BatchStatistics]:
        """Counts of every ready version."""
        ...

    def figures(self) -> Mapping[Key, Figures]:
        """What became of the requests of every ready version."""
        ...

    def leave(self) -> None:
        """Be ready no more; requests are still let in."""
        ...

    def close_door(self) -> None:
        """Let nobody in any more."""
        ...

    async def drain(self) -> None:
        """Let nobody in any more; return when every visit has ended."""
        ...

    async def stop(self) -> None:
        """Stop now: what still waits is answered with Draining. May be called without a start, and twice."""
        ...
