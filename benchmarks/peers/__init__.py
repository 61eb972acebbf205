"""How each server is started, and what it wants to be sent. The other files here run in the peers' environments."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_BOUNDARY = "picture"
_TRITON_OUTPUTS = [{"name": "answer", "parameters": {"binary_data": True}}]


def _png(_: bytes) -> dict[str, str]:
    return {"Content-Type": "image/png"}


def _json(_: bytes) -> dict[str, str]:
    return {"Content-Type": "application/json"}


def _form(_: bytes) -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}


def _binary(body: bytes) -> dict[str, str]:
    head_ends = body.index(end := json.dumps({"outputs": _TRITON_OUTPUTS})[1:].encode()) + len(end)
    return {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(head_ends)}


def _multipart(content: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
    return head.encode() + b"Content-Type: image/png\r\n\r\n" + content + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _base64_tensor(content: bytes) -> bytes:
    data = [base64.b64encode(content).decode()]
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": data}
    return json.dumps({"inputs": [{**tensor, "parameters": {"content_type": "base64"}}]}).encode()


def _binary_tensor(content: bytes) -> bytes:
    size = {"binary_data_size": len(content) + 4}
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "parameters": size}
    head = json.dumps({"inputs": [tensor], "outputs": _TRITON_OUTPUTS}).encode()
    return head + len(content).to_bytes(4, "little") + content


@dataclass(frozen=True)
class Server:
    """command: with {python}, {bin} (its folder), {version} (a model version's folder), {port} to fill in."""

    command: tuple[str, ...]
    path: str
    encode: Callable[[bytes], bytes] = bytes
    headers: Callable[[bytes], dict[str, str]] = _png

    def started_with(self, python: str, version: Path, port: int) -> list[str]:
        facts = {"python": python, "bin": Path(python).parent, "version": version, "port": port}
        names = {"repository": version.parent.parent, "model": version.parent.name, "here": FOLDER}
        return [part.format(**facts, **names) for part in self.command]


SERVERS = {
    "harmonic": Server(
        ("{bin}/harmonic", "serve", "--port={port}", "--repository={repository}", "--default-model={model}"),
        "/v1/classify",
    ),
    "litserve": Server(
        ("{python}", "{here}/litserve_server.py", "{version}", "{port}"), "/classify", _multipart, _form
    ),
    "bentoml": Server(
        ("{bin}/bentoml", "serve", "bentoml_server:Peer", "--working-dir={here}", "--host=127.0.0.1", "--port={port}"),
        "/classify",
        _multipart,
        _form,
    ),
    "ray": Server(("{python}", "{here}/ray_server.py", "{version}", "{port}"), "/classify"),
    "mlserver": Server(
        ("{bin}/mlserver", "start", "{here}/mlserver_model"), "/v2/models/peer/infer", _base64_tensor, _json
    ),
    "triton": Server(
        ("{python}", "{here}/triton_server.py", "{version}", "{port}"), "/v2/models/peer/infer", _binary_tensor, _binary
    ),
}
