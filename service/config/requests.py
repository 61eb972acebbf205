"""Settings of what one request may bring. Part of the service's settings."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings

from service.config.fields import Count, Seconds, setting
from service.config.limits import Limits

_LIMITS = Limits()


class Requests(BaseSettings):
    """Requests."""

    body_bytes: Count = setting(_LIMITS.body_bytes, "Most bytes of a request's body; more is a 413.")
    body_seconds: Seconds = setting(_LIMITS.body_seconds, "Longest time for a body to arrive, in seconds; then 408.")
    buffered_bytes: Count = setting(512 * 2**20, "Most bytes of all bodies held at once; beyond it new ones get 429.")
    image_pixels: Annotated[int, Field(ge=1, le=89_478_485)] = setting(
        _LIMITS.pixels,
        "Most pixels of one image, as its header declares them; more is a 413 before any is decoded.",
    )
    images_per_request: Count = setting(_LIMITS.images, "Most images in one request; more is a 400.")
    decode_seconds: Seconds = setting(
        _LIMITS.decode_seconds, "Most CPU time that decoding one image may take, in seconds; then 422."
    )
    decoded_bytes: Annotated[int, Field(ge=2**24)] = setting(
        _LIMITS.decoded_bytes,
        "Memory set aside for decoding large images, all together, by what their headers let expect. One that does not "
        "fit now waits; one that never would is a 422.",
    )
    slot_bytes: Annotated[int, Field(ge=2**20)] = setting(
        2**30,
        "Where [processes of their own have the models](processes.md): memory of the slots in which decoded images go "
        "to them, all front ends together. Only what was needed at once is ever taken. Without a free slot a request "
        "gets 429.",
    )
    json_bytes: Count = setting(
        _LIMITS.json_bytes,
        "Most bytes of JSON in an inference request; more is a 413. Binary tensors do not count.",
    )

    def limits(self) -> Limits:
        """What one request may bring."""
        return Limits(
            body_bytes=self.body_bytes,
            body_seconds=self.body_seconds,
            pixels=self.image_pixels,
            images=self.images_per_request,
            decode_seconds=self.decode_seconds,
            decoded_bytes=self.decoded_bytes,
            json_bytes=self.json_bytes,
        )
