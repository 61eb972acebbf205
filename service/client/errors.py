"""What a client raises. Every message says who was asked, what came, and what to do.

ClientError
├── Unreachable             nobody answers there, or the connection was lost, each time
├── OutOfPatience           there was no answer within the caller's patience
├── Rejected                an error that the service answered: its status, its code
└── UnexpectedAnswerError   an answer that is none of this service's
"""

from harmonic.errors import HarmonicError


class ClientError(HarmonicError):
    """What every error of the client is; also that a client was closed, or given something that is no address."""


class Unreachable(ClientError):  # noqa: N818 - a name people read in logs
    """Nobody answers there, or the connection was lost, as often as was tried."""


class OutOfPatience(ClientError):  # noqa: N818
    """There was no answer within the caller's patience."""


class Rejected(ClientError):  # noqa: N818
    """The service answered with an error. code: for programs; empty where the protocol has none."""

    def __init__(self, message: str, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class UnexpectedAnswerError(ClientError):
    """What answered is no such service, or otherwise than this build's would."""
