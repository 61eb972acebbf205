"""An answer of another process, or the error in its place, as plain values that travel."""

import logging
from collections.abc import Awaitable
from typing import Any

from service.errors import ControlRefused, DeadlineExceeded, Draining, ModelNotFound, NotReady, ServiceError

log = logging.getLogger(__name__)
Facts = dict[str, Any]

_ERRORS: dict[str, type[ServiceError]] = {
    kind.__name__: kind for kind in (ControlRefused, DeadlineExceeded, Draining, ModelNotFound, NotReady)
}


class Gone(Exception):  # noqa: N818 - a fact, which those who ask provide for
    """The other process has ended, or closed its side."""


async def settled(answer: Awaitable[Facts], what: str) -> tuple[str, Facts]:
    """An answer with an empty name, or the name of the error in its place and what it says. what: was asked for."""
    try:
        return "", await answer
    except ServiceError as error:
        return type(error).__name__, {"message": error.message, "retry_after_s": error.retry_after_s}
    except Gone:
        return "NotReady", {"message": "a process of this service has ended", "retry_after_s": 1}
    except Exception:  # the edge of the task: it reports, here and there
        log.exception("asked for %s", what)
        return "ServiceError", {"message": "the service's log says why", "retry_after_s": None}


def refusal(name: str, facts: Facts) -> ServiceError:
    """The error that stood in an answer's place."""
    return _ERRORS.get(name, ServiceError)(facts["message"], retry_after_s=facts["retry_after_s"])
