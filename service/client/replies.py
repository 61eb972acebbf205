"""What an answer says, typed; and the errors of those that say something else."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from harmonic.errors import sentence
from service.answers import Classification, ClassScore, Timing
from service.client.errors import Rejected, UnexpectedAnswerError
from service.client.talk import Reply
from service.credential import VARIABLE

HEAD_LENGTH = "Inference-Header-Content-Length"
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Classified:
    """The answer to one image. classes: the likeliest first. timing_ms: of the request that it came with.

    adaptive: it depends on earlier traffic. precision: of the arithmetic, where it is not fp32. certain: whether the
    probability is one from which on the model was right nearly always; None where nobody measured that.
    """

    model: str
    version: int
    classes: tuple[ClassScore, ...]
    timing_ms: Timing
    adaptive: bool = False
    precision: str | None = None
    certain: bool | None = None

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.classes[0].label

    @property
    def probability(self) -> float:
        """Of the likeliest class."""
        return self.classes[0].probability


class _Detail(BaseModel):
    code: str
    message: str


class _Error(BaseModel):
    error: _Detail | str  # the second is the Open Inference Protocol's


def read_answer(reply: Reply, kind: type[M]) -> M:
    """The body of an answer. Raises Rejected, UnexpectedAnswerError."""
    check(reply)
    try:
        return kind.model_validate_json(reply.body)
    except ValidationError as error:
        raise UnexpectedAnswerError(
            f"{reply.url} answered, but not as this build expects ({sentence(error)}). Is the address right?"
        ) from error


def classified(reply: Reply, images: int) -> list[Classified]:
    """The answers to as many images."""
    answer = read_answer(reply, Classification)
    if len(answer.predictions) != images or not all(prediction.classes for prediction in answer.predictions):
        raise UnexpectedAnswerError(f"{reply.url} gave {len(answer.predictions)} answers for {images} images.")
    adaptive, times = answer.norm is not None, answer.timing_ms
    return [
        Classified(
            answer.model,
            answer.version,
            tuple(prediction.classes),
            times,
            adaptive,
            answer.precision,
            prediction.certain,
        )
        for prediction in answer.predictions
    ]


def logits(reply: Reply, images: int) -> NDArray[np.float32]:
    """The numbers of a binary answer of the Open Inference Protocol, a row for every image."""
    check(reply)
    skip = reply.headers.get(HEAD_LENGTH.lower(), "")
    body = reply.body[int(skip) :] if skip.isascii() and skip.isdecimal() else b""
    if not body or len(body) % (4 * images):
        raise UnexpectedAnswerError(
            f"{reply.url} gave {len(body)} bytes of logits for {images} images. Is the address right?"
        )
    return np.frombuffer(body, np.float32).reshape(images, -1)


def check(reply: Reply) -> None:
    """Raise what an answer that is no success stands for."""
    if reply.status == 200:
        return
    if 300 <= reply.status < 400:
        raise UnexpectedAnswerError(
            f"{reply.url} answered {reply.status}: it moved to {reply.headers.get('location', 'nowhere')[:200]}. "
            "Keys and images are not sent on to other addresses; give that one, if it is yours."
        )
    code, message = _said(reply)
    if reply.status == 401:
        message += f" (here: the argument key, --key, or the environment variable {VARIABLE})"
    if wait := reply.headers.get("retry-after"):
        message += f" (ask again in {wait[:40]} s)"
    raise Rejected(f"{reply.url} answered {reply.status}: {message}", reply.status, code)


def _said(reply: Reply) -> tuple[str, str]:
    try:
        error = _Error.model_validate_json(reply.body).error
    except ValidationError:
        text = reply.body[:200].decode("utf-8", "replace").strip()
        return "", f"{text or 'nothing more'} (no answer of this service; is the address right?)"
    return ("", error) if isinstance(error, str) else (error.code, error.message)
