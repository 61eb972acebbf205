"""A stand-in for the Hugging Face hub: repositories of commits, as its own library asks for them."""

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_the-secret-that-nobody-may-see"


class Hub:
    """The repositories that it has: for each its commits, each all files by path."""

    def __init__(self) -> None:
        self.commits: dict[str, list[dict[str, bytes]]] = {}
        self.private: dict[str, bool] = {}
        self.meanwhile: list[dict[str, bytes]] = []  # commits of others, one before each of ours
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()

    def files(self, repository: str) -> dict[str, bytes]:
        """What the newest commit has."""
        return self.commits[repository][-1]

    def at(self, repository: str, revision: str) -> dict[str, bytes] | None:
        """What a revision has: `main`, or a commit's name."""
        commits = self.commits.get(repository, [])
        if revision == "main":
            return commits[-1] if commits else None
        number = int(revision, 16) if re.fullmatch(r"[0-9a-f]{40}", revision) else -1
        return commits[number] if 0 <= number < len(commits) else None

    def head(self, repository: str) -> str:
        """The newest commit's name."""
        return f"{len(self.commits[repository]) - 1:040x}"

    def commit(self, repository: str, lines: list[dict[str, Any]]) -> str | None:
        """Take a commit; None where others were faster."""
        if self.meanwhile:
            self.commits[repository].append({**self.files(repository), **self.meanwhile.pop(0)})
        header = next(line["value"] for line in lines if line["key"] == "header")
        if header.get("parentCommit") not in {None, self.head(repository)}:
            return None
        added = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
        }
        self.commits[repository].append({**self.files(repository), **added})
        return self.head(repository)


def _entries(files: dict[str, bytes], folder: str) -> list[dict[str, Any]]:
    """What the tree's route says of a folder."""
    inside = {path: path.removeprefix(f"{folder}/" if folder else "") for path in files}
    inside = {path: rest for path, rest in inside.items() if not folder or rest != path}
    found = {f"{folder}/{rest.split('/')[0]}".strip("/") for rest in inside.values()}
    return [_entry(files, path) for path in sorted(found)]


def _entry(files: dict[str, bytes], path: str) -> dict[str, Any]:
    if path in files:
        return {"type": "file", "path": path, "size": len(files[path]), "oid": "0" * 40}
    return {"type": "directory", "path": path, "size": 0, "oid": "0" * 40}


@dataclass(frozen=True)
class Answer:
    """What is sent: JSON, or bytes as they are."""

    what: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def _none(code: str) -> Answer:
    return Answer({"error": "nothing"}, 404, {"X-Error-Code": code})


def _create(hub: Hub, _: Sequence[str], body: bytes) -> Answer:
    asked = json.loads(body)
    name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
    if name in hub.commits:
        return Answer({"error": "there is one", "url": f"{hub.url}/{name}"}, 409)
    hub.commits[name] = [{".gitattributes": b""}]
    hub.private[name] = bool(asked.get("private")) or asked.get("visibility") == "private"
    return Answer({"url": f"{hub.url}/{name}", "name": name, "id": name})


def _preupload(hub: Hub, _: Sequence[str], body: bytes) -> Answer:
    asked = json.loads(body)["files"]
    return Answer({"files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in asked]})


def _commit(hub: Hub, words: Sequence[str], body: bytes) -> Answer:
    oid = hub.commit(words[0], [json.loads(line) for line in body.splitlines()])
    if oid is None:
        return Answer({"error": "not the newest"}, 412)
    return Answer({"commitUrl": f"{hub.url}/{words[0]}/commit/{oid}", "commitOid": oid})


def _paths(hub: Hub, words: Sequence[str], body: bytes) -> Answer:
    files = hub.at(*words) or {}
    asked = json.loads(body)["paths"] if body[:1] == b"{" else parse_qs(body.decode()).get("paths", [])
    there = [one for one in asked if one in files or any(path.startswith(f"{one}/") for path in files)]
    return Answer([_entry(files, one) for one in there])


def _tree(hub: Hub, words: Sequence[str], _: bytes) -> Answer:
    files = hub.at(words[0], words[1])
    entries = _entries(files, words[2] or "") if files is not None else []
    return Answer(entries) if entries else _none("EntryNotFound")


def _info(hub: Hub, words: Sequence[str], _: bytes) -> Answer:
    files = hub.at(words[0], words[1] or "main")
    if files is None:
        return _none("RepoNotFound")
    siblings = [{"rfilename": one} for one in files]
    return Answer({"id": words[0], "sha": hub.head(words[0]), "siblings": siblings, "private": False})


def _file(hub: Hub, words: Sequence[str], _: bytes) -> Answer:
    content = (hub.at(words[0], words[1]) or {}).get(words[2])
    facts = {"ETag": '"0"', "X-Repo-Commit": "0" * 40, "Accept-Ranges": "bytes"}
    return _none("EntryNotFound") if content is None else Answer(content, headers=facts)


_MODEL = "/api/models/([^/]+/[^/]+)"
_ROUTES: tuple[tuple[str, str, Callable[[Hub, Sequence[str], bytes], Answer]], ...] = (
    ("POST", "/api/repos/create", _create),
    ("POST", "/api/validate-yaml", lambda *_: Answer({"errors": [], "warnings": []})),
    ("POST", f"{_MODEL}/preupload/(.+)", _preupload),
    ("POST", f"{_MODEL}/commit/(.+)", _commit),
    ("POST", f"{_MODEL}/paths-info/(.+)", _paths),
    ("GET", f"{_MODEL}/tree/([^/]+)/?(.*)", _tree),
    ("GET", f"{_MODEL}(?:/revision/(.+))?", _info),
    ("GET", "/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", _file),
)


def _answer(hub: Hub, method: str, path: str, body: bytes) -> Answer:
    for known, pattern, route in _ROUTES:
        if known == method and (found := re.fullmatch(pattern, path)):
            return route(hub, found.groups(), body)
    return _none("RepoNotFound")


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nobody reads them."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            path = unquote(urlsplit(self.path).path)
            self._say(_answer(hub, "POST", path, body) if known else Answer({"error": "who are you?"}, 401))

        def do_GET(self) -> None:
            self._say(_answer(hub, "GET", unquote(urlsplit(self.path).path), b""))

        def do_HEAD(self) -> None:
            self.do_GET()

        def _say(self, answer: Answer) -> None:
            body = answer.what if isinstance(answer.what, bytes) else json.dumps(answer.what).encode()
            status, headers = answer.status, dict(answer.headers)
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            if asked and status == 200:
                start, size = int(asked[1]), len(body)
                body, status = body[start : int(asked[2] or size) + 1], 206
                headers["Content-Range"] = f"bytes {start}-{start + len(body) - 1}/{size}"
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    return Handler
