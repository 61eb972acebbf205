"""What one request and one connection may take of the service. Enforces nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may bring."""

    body_bytes: int = 32 * 2**20
    body_seconds: float = 30.0  # from the head of the request to the end of its body
    pixels: int = 50_000_000  # of one image, as declared
    images: int = 64
    decode_seconds: float = 5.0  # CPU time of one image
    decoded_bytes: int = 2**30  # memory of one image while it is decoded, and of all larger ones together
    json_bytes: int = 8 * 2**20  # of one inference request; larger tensors come as binary data


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a connection may take of the service."""

    connections: int = 2048  # at once; beyond it the longest idle one is closed for a new one
    head_bytes: int = 32 * 1024  # request line and headers
    headers: int = 100
    head_seconds: float = 10.0  # from the connection, or the first byte of a further request, to the end of the head
    write_seconds: float = 30.0  # for which a caller may leave an answer unread
