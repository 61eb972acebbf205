"""The error tree of the service, which is its HTTP map: every error knows its status and its code.

ServiceError                     500  internal
├── StartError                        a setting, a device or an installation that the service must not start with
├── RequestError                 400  bad_request
│   ├── TooManyImages            400  too_many_images
│   ├── ControlRefused           400  control_refused
│   ├── Unauthorized             401  unauthorized
│   │   └── Forbidden            403  forbidden
│   ├── ForeignOrigin            403  foreign_origin
│   ├── ModelNotFound            404  model_not_found
│   ├── DocumentNotFound         404  document_not_found
│   ├── BodyTooSlow              408  body_too_slow
│   ├── BodyTooLarge             413  body_too_large
│   ├── MediaTypeError           415  unsupported_media_type
│   ├── ForeignHost              421  foreign_host
│   ├── DecodeError              422  image_not_decodable
│   │   ├── ImageTooLarge        413  image_too_large
│   │   ├── ImageTooCostly       422  image_too_costly
│   │   └── ImageFormatError     415  unsupported_image
│   └── RateLimited              429  rate_limited        (with Retry-After)
├── Overloaded                   429  queue_full          (with Retry-After)
├── ModelFailed                  500  model_failed
│   └── DeviceLost               500  model_failed
├── OutOfMemory                  503  out_of_memory       (with Retry-After)
├── NotReady                     503  not_ready
│   ├── NotLoaded                503  not_ready           (inside: whoever gets it loads the version)
│   └── Draining                 503  draining
└── DeadlineExceeded             504  deadline_exceeded
"""

from typing import ClassVar

from harmonic.errors import HarmonicError


class ServiceError(HarmonicError):
    """What every error of this package is; `message` is what the caller is told."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s


class StartError(ServiceError):
    """A setting, a device or an installation that the service must not start with."""


class RequestError(ServiceError):
    """The request is at fault."""

    status = 400
    code = "bad_request"


class TooManyImages(RequestError):  # noqa: N818 - a name people read in logs
    """More images in one request than the largest batch or the limit allows."""

    code = "too_many_images"


class ControlRefused(RequestError):  # noqa: N818
    """Loading or unloading is not allowed here, or what was to be loaded is not sound."""

    code = "control_refused"


class Unauthorized(RequestError):  # noqa: N818
    """No API key, or none of this service's; `challenge` is the answer's WWW-Authenticate."""

    status = 401
    code = "unauthorized"

    def __init__(self, message: str, challenge: str = "Bearer") -> None:
        super().__init__(message)
        self.challenge = challenge


class Forbidden(Unauthorized):
    """An API key that may not do this."""

    status = 403
    code = "forbidden"


class ForeignOrigin(RequestError):  # noqa: N818
    """A page of another origin asks for what only this service's own page, or a program, may ask for."""

    status = 403
    code = "foreign_origin"


class ForeignHost(RequestError):  # noqa: N818
    """The request is addressed to a name that this service does not go by."""

    status = 421
    code = "foreign_host"


class RateLimited(RequestError):  # noqa: N818
    """An API key that asks too often; `retry_after_s` says when to come back."""

    status = 429
    code = "rate_limited"


class ModelNotFound(RequestError):  # noqa: N818
    """No such model or version."""

    status = 404
    code = "model_not_found"


class DocumentNotFound(RequestError):  # noqa: N818
    """The version brings no such document."""

    status = 404
    code = "document_not_found"


class BodyTooSlow(RequestError):  # noqa: N818
    """The body did not arrive in time."""

    status = 408
    code = "body_too_slow"


class BodyTooLarge(RequestError):  # noqa: N818
    """More bytes than a body may have."""

    status = 413
    code = "body_too_large"


class MediaTypeError(RequestError):
    """A Content-Type or Content-Encoding that the service does not take."""

    status = 415
    code = "unsupported_media_type"


class DecodeError(RequestError):
    """Bytes that are no whole image."""

    status = 422
    code = "image_not_decodable"


class ImageTooLarge(DecodeError):  # noqa: N818
    """An image of more pixels than the limit."""

    status = 413
    code = "image_too_large"


class ImageTooCostly(DecodeError):  # noqa: N818
    """An image that would take too long, or too much memory, to decode."""

    code = "image_too_costly"


class ImageFormatError(DecodeError):
    """An image format, or a kind of pixel, that is not on the list."""

    status = 415
    code = "unsupported_image"


class Overloaded(ServiceError):  # noqa: N818
    """No room in the queue or for another body; `retry_after_s` says when to come back."""

    status = 429
    code = "queue_full"


class ModelFailed(ServiceError):  # noqa: N818
    """The model call raised, or gave something that is no answer."""

    code = "model_failed"


class DeviceLost(ModelFailed):
    """The device computes nothing for this process any more; only a new process may find it well."""


class OutOfMemory(ServiceError):  # noqa: N818
    """The machine has no memory left for a request that is sound; `retry_after_s` says when to come back."""

    status = 503
    code = "out_of_memory"


class NotReady(ServiceError):  # noqa: N818
    """No model can answer now."""

    status = 503
    code = "not_ready"


class NotLoaded(NotReady):
    """A version that is loaded on demand and is not in memory now. deadline_s: how long a request waits for it."""

    def __init__(self, name: str, version: int, deadline_s: float) -> None:
        super().__init__(f"version {version} of model {name!r} is loaded on demand; a request for an answer loads it")
        self.name = name
        self.version = version
        self.deadline_s = deadline_s


class Draining(NotReady):
    """The service is shutting down."""

    code = "draining"


class DeadlineExceeded(ServiceError):  # noqa: N818
    """The answer was not there in time."""

    status = 504
    code = "deadline_exceeded"


def too_many(images: int, most: int) -> TooManyImages:
    """For a request of more images than are taken."""
    # A number of a caller's own may have a million digits.
    return TooManyImages(f"{str(images)[:20]} images in one request; up to {most} are taken. Split the request.")
