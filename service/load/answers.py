"""Is it an answer? 200 is not enough: there has to be a label, or a tensor of the size that its head says."""

import json
from itertools import chain
from typing import Any

_LENGTH = "inference-header-content-length"


def fault(raw: bytes) -> str | None:
    """What is wrong with a whole answer, head and body; None if nothing is."""
    head, _, body = raw.partition(b"\r\n\r\n")
    headers, status = _headers(head), head.split(b" ", 2)[1:2]
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _unchunked(body)
    if not status or not status[0].startswith(b"2"):
        return f"{b' '.join(status).decode('latin-1')}: {body[:200].decode('utf-8', 'replace')}"
    length = headers.get(_LENGTH, "")
    if not length:
        return _fault_of(body, b"")
    return _fault_of(body[: int(length)], body[int(length) :]) if length.isdigit() else f"{_LENGTH} is {length!r}"


def _headers(head: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _unchunked(body: bytes) -> bytes:
    whole = bytearray()
    while body:
        size, _, rest = body.partition(b"\r\n")
        count = int(size.partition(b";")[0] or b"0", 16)
        whole += rest[:count]
        body = rest[count + 2 :] if count else b""
    return bytes(whole)


def _fault_of(text: bytes, data: bytes) -> str | None:
    try:
        said = json.loads(text)
    except ValueError:
        return f"no JSON: {text[:80]!r}"
    if isinstance(said, dict) and isinstance(said.get("outputs"), list):
        return _fault_of_tensors(said["outputs"], data)
    return None if _has_label(said) else f"no label and no tensor: {text[:80]!r}"


def _fault_of_tensors(outputs: list[Any], data: bytes) -> str | None:
    if not outputs:
        return "an answer without tensors"
    said = sum(int(each.get("parameters", {}).get("binary_data_size", 0)) for each in outputs)
    if said != len(data):
        return f"tensors of {said} bytes were told, {len(data)} came"
    empty = [str(each.get("name")) for each in outputs if "data" in each and not each["data"]]
    return f"the tensor {empty[0]!r} is empty" if empty else None


def _has_label(said: Any) -> bool:
    """Somewhere in it, whatever the service."""
    if isinstance(said, dict):
        label = said.get("label", said.get("class_name"))
        return isinstance(label, str) or any(map(_has_label, said.values()))
    return isinstance(said, list) and any(map(_has_label, chain(said)))
