"""Threads that turn the encoded images of a ticket into its rows.

A ticket's images are decoded side by side; the thread that ends last queues the rows, without a turn of the event loop.
"""

import threading
import time
from collections.abc import Sequence
from functools import partial

import numpy as np

from harmonic.errors import PixelError
from harmonic.pixels import PixelSpec, prepare
from service.decode import Limits, decode
from service.errors import DecodeError, ServiceError
from service.pool import Pool
from service.tickets import Ticket


class Preparation:
    """A bounded pool of decoding threads; what waits for it is bounded by the seats of the batchers."""

    def __init__(self, threads: int, limits: Limits) -> None:
        self._pool = Pool(threads, "decode")
        self._limits = limits

    def start(self, ticket: Ticket, images: Sequence[bytes], spec: PixelSpec) -> "Job":
        """Decode and prepare every image, then submit the ticket; or fail it with a DecodeError naming the image."""
        job = Job(ticket, images, spec, self._limits)
        for index in range(len(images)):
            self._pool.submit(ticket.rank, partial(job.prepare, index))
        return job

    def close(self) -> None:
        """Let the threads end; what has not begun is dropped."""
        self._pool.close()


class Job:
    """The images of one ticket on their way."""

    def __init__(self, ticket: Ticket, images: Sequence[bytes], spec: PixelSpec, limits: Limits) -> None:
        self._ticket = ticket
        self._images = images
        self._spec = spec
        self._limits = limits
        self._rows = np.empty((len(images), *spec.shape), spec.dtype)
        self._left = len(images)
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self.decode_s = 0.0  # from the start of the job to its last row

    def prepare(self, index: int) -> None:
        """Make one row; in a thread of the pool."""
        if self._ticket.departed:
            return  # nobody waits: its caller left, or another of its images was refused
        try:
            self._rows[index] = prepare(decode(self._images[index], self._limits), self._spec)
        except ServiceError as error:
            self._ticket.fail(self._named(index, error))
        except PixelError as error:
            self._ticket.fail(DecodeError(f"{self._where(index)}{error}"))
        except Exception as error:  # the edge of the thread: it reports to the caller
            self._ticket.fail(ServiceError(f"{self._where(index)}could not be prepared: {type(error).__name__}"))
        else:
            self._done()

    def _done(self) -> None:
        with self._lock:
            self._left -= 1
            last = not self._left
        if last:
            self.decode_s = time.monotonic() - self._started
            self._ticket.submit(self._rows)

    def _where(self, index: int) -> str:
        return f"image {index + 1} of {len(self._images)}: " if len(self._images) > 1 else ""

    def _named(self, index: int, error: ServiceError) -> ServiceError:
        return type(error)(f"{self._where(index)}{error.message}")
