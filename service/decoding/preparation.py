"""Threads that turn the encoded images of a ticket into its rows.

A ticket's images are decoded side by side; the thread that ends last queues the rows, without a turn of the event loop.
An image whose header says that decoding it takes much memory waits until there is room, behind others of its kind.
"""

import threading
import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import PixelError
from harmonic.pixels import PixelSpec, Upright, prepare
from service.batching import Kind
from service.config import Limits
from service.decoding.allocator import trim
from service.decoding.decode import NeedsRoom, read
from service.decoding.loan import Loan
from service.decoding.pool import Errand, Pool
from service.decoding.quick import Quick, is_quick
from service.errors import DecodeError, OutOfMemory, ServiceError

SMALL_BYTES = 16 * 2**20  # what takes less memory is decoded at once
_LARGE_BYTES = 64 * 2**20  # what takes more leaves holes in the allocator's heap, which are given back


class Recipient(Protocol):
    """Whoever the rows are for, such as a ticket. All of it from any thread."""

    @property
    def rank(self) -> int:
        """Of two the lower goes first; 0 is usual."""
        ...

    @property
    def cancelled(self) -> bool:
        """True once nobody waits for the rows."""
        ...

    def submit(self, rows: NDArray[Any], /) -> None:
        """They are made."""
        ...

    def fail(self, error: Exception, /) -> None:
        """They cannot be made."""
        ...


class _Free:
    """Bytes that nobody counts."""

    def hold(self) -> None:
        """Nothing to count."""

    def drop(self) -> None:
        """Nothing to count."""


class Preparation:
    """Work for a pool of decoding threads; what waits for it is bounded by the seats of the batchers."""

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits

    def quick(self, images: Sequence[bytes], spec: PixelSpec, kind: Kind, loan: Loan | None = None) -> Quick | None:
        """What a ticket is submitted with in place of rows, where the images are small; None where they are not.

        kind: shape and type of a row, as the spec says.
        """
        return Quick(images, spec, kind, self._limits, loan) if is_quick(images, spec) else None

    def start(
        self,
        ticket: Recipient,
        images: Sequence[bytes],
        spec: PixelSpec,
        model: str = "",
        key: str = "",
        loan: Loan | None = None,
        rows: NDArray[Any] | None = None,
    ) -> "Job":
        """Decode and prepare every image, then submit the ticket; or fail it with a DecodeError naming the image.

        model, key: whose share of the threads it is. loan: what the images are counted by, and let go with the last of
        them. rows: where they shall lie, for as long as the loan is held; else they are made here. Leave the job (it is
        a context) when nobody waits for it any more: what has not begun is forgotten, and so are its images.
        """
        way = _Way(self._pool, self._limits, spec, model, key)
        job = Job(ticket, images, way, loan or _Free(), rows if rows is not None else way.rows(len(images)))
        job.start()
        return job

    def close(self) -> None:
        """Let the threads end; what has not begun is dropped."""
        self._pool.close()


class _Way:
    """What the images of a job have in common."""

    def __init__(self, pool: Pool, limits: Limits, spec: PixelSpec, model: str, key: str) -> None:
        self.pool = pool
        self.limits = limits
        self.spec = spec
        self._model = model
        self._key = key

    def errand(self, work: partial[None], rank: int, size: int, memory: int = 0) -> Errand:
        """Looking at `size` bytes, or decoding what takes `memory`."""
        cost = float(memory) if memory else min(size + 4096.0, SMALL_BYTES)
        return Errand(work, cost, memory, self._model, rank, self._key)

    def rows(self, count: int) -> NDArray[Any]:
        """Room for prepared images. Raises OutOfMemory."""
        try:
            return np.empty((count, *self.spec.shape), self.spec.dtype)
        except MemoryError:
            raise OutOfMemory("there is no memory left for the images; ask again shortly", retry_after_s=1) from None

    def prepared(self, image: Upright) -> NDArray[Any]:
        """One row."""
        return prepare(image, self.spec)


class Job:
    """The images of one ticket on their way."""

    def __init__(self, ticket: Recipient, images: Sequence[bytes], way: _Way, loan: Loan, rows: NDArray[Any]) -> None:
        self._ticket = ticket
        self._images: list[bytes | None] = list(images)
        self._way = way
        self._loan = loan
        self._rows = rows
        self._left = len(images)
        self._busy = 0  # threads that have one of its images in hand
        self._given_up = False
        self._errands: set[Errand] = set()
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self.decode_s = 0.0  # from the start of the job to its last row

    def start(self) -> None:
        """Send every image on its way."""
        self._loan.hold()
        for index, image in enumerate(self._images):
            self._send(index, len(image or b""), room=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget the images; those in hand are counted until they are put down."""
        with self._lock:
            self._given_up = True
            errands, self._errands = self._errands, set()
            self._images = [None] * len(self._images)
            idle = not self._busy
        for errand in errands:
            self._way.pool.withdraw(errand)
        if idle:
            self._loan.drop()

    def _send(self, index: int, size: int, room: int) -> None:
        errand = self._way.errand(partial(self._prepare, index, room), self._ticket.rank, size, room)
        with self._lock:
            if self._given_up:
                return
            self._errands.add(errand)
        self._way.pool.submit(errand)

    def _prepare(self, index: int, room: int) -> None:
        """Make one row; in a thread of the pool."""
        with self._lock:
            image = self._images[index]
            if image is None or self._ticket.cancelled:
                return  # nobody waits: its caller left, or another of its images was refused
            self._busy += 1
        try:
            self._make(index, image, room)
        finally:
            del image
            if room > _LARGE_BYTES:
                trim()
            self._put_down()

    def _make(self, index: int, image: bytes, room: int) -> None:
        try:
            self._rows[index] = read(image, self._way.limits, self._way.prepared, room or SMALL_BYTES, self._way.spec)
        except NeedsRoom as need:
            self._send(index, len(image), need.bytes)
        except ServiceError as error:
            self._ticket.fail(self._named(index, error))
        except PixelError as error:
            self._ticket.fail(DecodeError(f"{self._where(index)}{error}"))
        except MemoryError:
            self._ticket.fail(OutOfMemory(f"{self._where(index)}there is no memory left for it", retry_after_s=1))
        except Exception as error:  # the edge of the thread: it reports to the caller
            self._ticket.fail(ServiceError(f"{self._where(index)}could not be prepared: {type(error).__name__}"))
        else:
            self._done(index)

    def _done(self, index: int) -> None:
        with self._lock:
            self._images[index] = None
            self._left -= 1
            last = not self._left
        if last:
            self.decode_s = time.monotonic() - self._started
            self._ticket.submit(self._rows)

    def _put_down(self) -> None:
        with self._lock:
            self._busy -= 1
            last = self._given_up and not self._busy
        if last:
            self._loan.drop()

    def _where(self, index: int) -> str:
        return f"image {index + 1} of {len(self._images)}: " if len(self._images) > 1 else ""

    def _named(self, index: int, error: ServiceError) -> ServiceError:
        return type(error)(f"{self._where(index)}{error.message}", retry_after_s=error.retry_after_s)
