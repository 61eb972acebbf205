"""One request until its answer: what to send, when to pause, when to give up. Does neither itself.

A talk is a generator. It gives what is to be done next, and is sent what came of it: whoever drives it has the
sockets, the clock and the event loop.
"""

import secrets
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace

from service.client.errors import OutOfPatience, Unreachable
from service.client.retries import PASSING, Budget, Retries


@dataclass(frozen=True, slots=True)
class Message:
    """A request. url: the whole address."""

    method: str
    url: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The address as people know it, without its query."""
        return self.url.partition("?")[0]


@dataclass(frozen=True, slots=True)
class Send:
    """Send this, and wait for its answer no longer than so many seconds."""

    message: Message
    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so many seconds. why: what came, for the log."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. url: the address that was asked, without its query. headers: their names in lower case."""

    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer. lasting: it will be the same next time. late: it did not come in the time that was given."""

    why: str
    lasting: bool = False
    late: bool = False


Outcome = Reply | Lost | None
Talk = Generator[Send | Pause, Outcome, Reply]


@dataclass(frozen=True, slots=True)
class Manners:
    """How a client asks. clock: steady, in seconds. chance: from 0 to 1, another each time."""

    retries: Retries
    budget: Budget
    clock: Callable[[], float]
    chance: Callable[[], float]


def talk(write: Callable[[float], Message], patience_s: float, manners: Manners, spent_s: float = 0.0) -> Talk:
    """Ask until there is an answer that stays: its last reply, be it a refusal.

    write: the request for one attempt, told how many seconds its answer is waited for. spent_s: of the patience,
    before it began. Every attempt has the same id, so that a service whose versions share the requests answers all of
    them with one. Raises Unreachable, OutOfPatience.
    """
    mark = {"X-Request-Id": secrets.token_hex(8)}
    ends = manners.clock() + patience_s - spent_s
    asked = 0
    while True:
        left = ends - manners.clock()
        seconds = min(left, manners.retries.attempt_s)
        message = write(max(seconds, 0.001))
        message = replace(message, headers={**mark, **message.headers})
        if left <= 0:
            raise _out_of_patience(message, patience_s, asked)
        outcome = yield Send(message, seconds)
        asked += 1
        if isinstance(outcome, Reply) and not _passes(outcome):
            manners.budget.earn()
            return outcome
        if isinstance(outcome, Lost) and outcome.late and seconds == left:
            raise _out_of_patience(message, patience_s, asked)
        pause_s = _pause_s(outcome, asked, manners, ends - manners.clock())
        if pause_s is None:
            return _last(message, outcome, asked)
        yield Pause(pause_s, f"{outcome.status}" if isinstance(outcome, Reply) else _why(outcome))


def _passes(reply: Reply) -> bool:
    """True for a word that may be another next time. The service says what went wrong in JSON; a 500 in other words is
    a balancer's, such as Ray Serve's, which lost whoever was to answer."""
    return reply.status in PASSING or (reply.status == 500 and reply.body[:1] not in {b"", b"{"})


def _pause_s(outcome: Outcome, asked: int, manners: Manners, left: float) -> float | None:
    """How long to wait before asking again; None for not at all."""
    if asked > manners.retries.most or (isinstance(outcome, Lost) and outcome.lasting):
        return None
    told = retry_after(outcome) if isinstance(outcome, Reply) else None
    pause_s = max(manners.retries.pause_s(asked, told, manners.chance()), manners.budget.take(manners.clock()))
    if pause_s < left:
        return pause_s
    manners.budget.give_back()
    return None


def _last(message: Message, outcome: Outcome, asked: int) -> Reply:
    if isinstance(outcome, Reply):
        return outcome
    raise Unreachable(f"{message.place} does not answer ({_why(outcome)}){_times(asked)}. Is the service running?")


def _out_of_patience(message: Message, patience_s: float, asked: int) -> OutOfPatience:
    return OutOfPatience(
        f"{message.place} gave no answer within {patience_s:.3g} s{_times(asked)}. "
        "Have more patience, or ask another service."
    )


def _why(outcome: Lost | None) -> str:
    return outcome.why if outcome else "nothing came"


def _times(asked: int) -> str:
    return f", asked {asked} times" if asked > 1 else ""


def retry_after(reply: Reply) -> float | None:
    """Seconds that a refusal says to wait; None where it says nothing that can be followed."""
    text = reply.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else None
