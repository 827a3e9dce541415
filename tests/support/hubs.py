"""The Hugging Face hub as far as an artifact needs it: one that answers on this machine, and its cache."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
# Nothing listens there.
NOWHERE = "http://127.0.0.1:9"


class Hub(ThreadingHTTPServer):
    """As much of the hub's HTTP as a download needs: one repository, user/name, with an artifact's files."""

    def __init__(self, artifact: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.artifact = artifact
        self.asked: list[str] = []
        self.fetched: list[str] = []


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.server.asked.append(self.path)
        api, resolve = "/api/models/user/name", f"/user/name/resolve/{COMMIT}/"
        path = self.path.partition("?")[0]
        if path == f"{api}/revision/main":
            files = [{"rfilename": path.name} for path in self.server.artifact.iterdir()]
            content = json.dumps({"id": "user/name", "modelId": "user/name", "sha": COMMIT, "siblings": files}).encode()
            self._send(200, content, body=body)
        # From its release 2 on, huggingface_hub asks for the files by themselves.
        elif path in (f"{api}/tree/main", f"{api}/tree/{COMMIT}"):
            self._send(200, json.dumps([_listed(path) for path in self.server.artifact.iterdir()]).encode(), body=body)
        elif self.path.startswith(resolve):
            name = self.path.removeprefix(resolve)
            if body:
                self.server.fetched.append(name)
            content = (self.server.artifact / name).read_bytes()
            etag = hashlib.sha256(content).hexdigest()
            self._send(200, content, body=body, ETag=f'"{etag}"', X_Repo_Commit=COMMIT)
        else:
            self._send(404, b'{"error": "Repository not found"}', body=body, X_Error_Code="RepoNotFound")

    def _send(self, status: int, content: bytes, *, body: bool, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def _listed(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return {"type": "file", "path": path.name, "size": len(content), "oid": blob.hexdigest()}


@contextlib.contextmanager
def hub_of(artifact: Path) -> Iterator[Hub]:
    """A hub on this machine, for the time of the block."""
    with Hub(artifact) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def fill_cache(home: Path, artifact: Path) -> Path:
    """Lay an artifact into a hub cache as huggingface_hub does: links into a folder of blobs."""
    repository = home / "hub/models--user--name"
    snapshot, blobs, refs = repository / "snapshots" / COMMIT, repository / "blobs", repository / "refs"
    for folder in (snapshot, blobs, refs):
        folder.mkdir(parents=True)
    (refs / "main").write_text(COMMIT)
    for path in artifact.iterdir():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (blobs / digest).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(f"../../blobs/{digest}")
    return snapshot
