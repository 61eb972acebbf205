"""What a service says, for stubs of one."""

import json

from tests.support.stub_service import http

CLASSIFIED = json.dumps(
    {
        "model": "colours",
        "version": 1,
        "predictions": [{"classes": [{"label": "red", "index": 0, "probability": 0.9}]}],
        "timing_ms": {"decode": 1.0, "queue": 1.0, "inference": 1.0, "total": 3.0},
    }
).encode()


def error(status: int, code: str, *headers: str) -> bytes:
    """A refusal as the service writes it."""
    return http(status, json.dumps({"error": {"code": code, "message": f"it is {code}"}}).encode(), *headers)
