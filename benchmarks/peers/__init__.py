"""How each server is started, and what it wants to be sent. The other files here run in the peers' environments."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_BOUNDARY = "picture"


def _png(_: bytes) -> dict[str, str]:
    return {"Content-Type": "image/png"}


def _json(_: bytes) -> dict[str, str]:
    return {"Content-Type": "application/json"}


def _form(_: bytes) -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}


def _file_alone(_: bytes) -> dict[str, str]:
    return {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": "0"}


def _multipart(content: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n'
    return head.encode() + b"Content-Type: image/png\r\n\r\n" + content + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _base64_tensor(content: bytes) -> bytes:
    data = [base64.b64encode(content).decode()]
    tensor = {"name": "image", "shape": [1, 1], "datatype": "BYTES", "data": data}
    return json.dumps({"inputs": [{**tensor, "parameters": {"content_type": "base64"}}]}).encode()


@dataclass(frozen=True)
class Server:
    """command: with {python}, {bin} (its folder), {version} (a model version's folder), {port} to fill in."""

    command: tuple[str, ...]
    path: str
    encode: Callable[[bytes], bytes] = bytes
    headers: Callable[[bytes], dict[str, str]] = _png

    def started_with(self, python: str, version: Path, port: int, name: str) -> list[str]:
        facts = {"python": python, "bin": Path(python).parent, "version": version, "port": port}
        names = {"repository": version.parent.parent, "model": version.parent.name, "here": FOLDER, "name": name}
        return [part.format(**facts, **names) for part in self.command]


_OURS = ("{bin}/harmonic", "serve", "--port={port}", "--repository={repository}", "--default-model={model}")
_SCRIPT = ("{python}", "{here}/{name}_server.py", "{version}", "{port}")

# By name; the packages that an environment of a peer needs besides onnxruntime, numpy and pillow stand beside it.
SERVERS = {
    "harmonic": Server(_OURS, "/v1/classify"),
    "harmonic, workers": Server((*_OURS, "--workers=auto"), "/v1/classify"),
    # fastapi uvicorn[standard]
    "naive": Server(_SCRIPT, "/classify"),
    # litserve python-multipart
    "litserve": Server(_SCRIPT, "/classify", _multipart, _form),
    # mosec
    "mosec": Server(("{python}", "{here}/mosec_server.py", "--port={port}", "--address=127.0.0.1"), "/inference"),
    # bentoml
    "bentoml": Server(
        ("{bin}/bentoml", "serve", "bentoml_server:Peer", "--working-dir={here}", "--host=127.0.0.1", "--port={port}"),
        "/classify",
        _multipart,
        _form,
    ),
    # ray[serve]
    "ray": Server(_SCRIPT, "/classify"),
    # mlserver
    "mlserver": Server(
        ("{bin}/mlserver", "start", "{here}/mlserver_model"), "/v2/models/peer/infer", _base64_tensor, _json
    ),
    # nvidia-pytriton: it brings Triton's own server
    "triton": Server(_SCRIPT, "/v2/models/peer/infer", bytes, _file_alone),
}
