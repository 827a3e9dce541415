"""The Hugging Face hub as far as pushing to it needs it, on this machine: what was pushed can be fetched again."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import yaml

USER, TOKEN, READING_TOKEN = "user", "hf_writes", "hf_reads"


@dataclass
class Repository:
    """A repository, with its commits and branches."""

    private: bool
    # As the hub makes it.
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{".gitattributes": b"*.onnx filter=lfs\n"}])
    branches: dict[str, int] = field(default_factory=lambda: {"main": 0})
    messages: list[str] = field(default_factory=lambda: ["initial commit"])

    def number(self, revision: str) -> int | None:
        """The number of the commit that a branch or a commit's id names."""
        ids = {commit_id(number): number for number in range(len(self.commits))}
        return {**ids, **self.branches}.get(revision)


def commit_id(number: int) -> str:
    """The id of a repository's commit."""
    return hashlib.sha1(str(number).encode()).hexdigest()


class WritableHub(ThreadingHTTPServer):
    """The hub; `USER` writes with `TOKEN`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.unknown: list[str] = []
        # At which paths it breaks down, and how many times more.
        self.broken, self.breakdowns = "", 0

    def files(self, repository: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a repository."""
        found = self.repositories[repository]
        return found.commits[found.branches[revision]]


class _RefusalError(Exception):
    """An answer that is none of success."""

    def __init__(self, status: int, message: str, code: str = "", **more: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code
        self.content = {"error": message, **more}


class _Answer(BaseHTTPRequestHandler):
    server: WritableHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(self.path.partition("?")[0])
        body = self._body()
        self.server.asked.append(f"{self.command} {path}")
        try:
            if self.server.breakdowns and re.fullmatch(self.server.broken, path):
                self.server.breakdowns -= 1
                raise _RefusalError(500, "Internal error")
            for method, pattern, answer in _ROUTES:
                match = re.fullmatch(pattern, path)
                if match and self.command in method:
                    content = answer(self, body, *match.groups())
                    break
            else:
                self.server.unknown.append(f"{self.command} {path}")
                raise _RefusalError(404, "Not Found")
        except _RefusalError as refusal:
            headers = {"X-Error-Message": str(refusal), **({"X-Error-Code": refusal.code} if refusal.code else {})}
            self._send(refusal.status, json.dumps(refusal.content).encode(), headers)
            return
        if isinstance(content, bytes):
            etag = hashlib.sha256(content).hexdigest()
            self._send(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": path.split("/resolve/")[1].split("/")[0]})
        else:
            self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def may_write(self, owner: str) -> None:
        """Refuse whoever may not."""
        if self.token not in (TOKEN, READING_TOKEN):
            raise _RefusalError(401, "Invalid username or password.")
        if self.token != TOKEN or owner != USER:
            raise _RefusalError(403, f"You don't have the rights to create a model under the namespace {owner!r}")

    def repository(self, name: str) -> Repository:
        """The repository, if it is one that is shown."""
        found = self.server.repositories.get(name)
        if found is None or (found.private and self.token not in (TOKEN, READING_TOKEN)):
            raise _RefusalError(401 if found is None else 404, "Repository not found", "RepoNotFound")
        return found

    def whoami(self, _: bytes) -> Any:
        if self.token not in (TOKEN, READING_TOKEN):
            raise _RefusalError(401, "Invalid credentials in Authorization header")
        role = "write" if self.token == TOKEN else "read"
        return {"type": "user", "name": USER, "orgs": [], "auth": {"accessToken": {"role": role}}}

    def create(self, body: bytes) -> Any:
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        self.may_write(asked["organization"])
        if name in self.server.repositories:
            raise _RefusalError(409, "You already created this model repo", url=f"{self.server.url}/{name}")
        private = asked.get("private") is True or asked.get("visibility") == "private"
        self.server.repositories[name] = Repository(private=private)
        return {"url": f"{self.server.url}/{name}", "name": name, "id": name}

    def info(self, _: bytes, name: str, revision: str | None = None) -> Any:
        repository = self.repository(name)
        number = repository.number(revision or "main")
        if number is None:
            raise _RefusalError(404, "Invalid rev id", "RevisionNotFound")
        siblings = [{"rfilename": path} for path in repository.commits[number]]
        about = {"private": repository.private, "sha": commit_id(number), "siblings": siblings}
        return {"id": name, "modelId": name, **about}

    def tree(self, _: bytes, name: str, revision: str) -> Any:
        repository = self.repository(name)
        number = repository.number(revision)
        if number is None:
            raise _RefusalError(404, "Invalid rev id", "RevisionNotFound")
        return [
            {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for path, content in repository.commits[number].items()
        ]

    def branch(self, _: bytes, name: str, branch: str) -> Any:
        self.may_write(name.partition("/")[0])
        repository = self.repository(name)
        if branch in repository.branches:
            raise _RefusalError(409, "Reference already exists")
        repository.branches[branch] = repository.branches["main"]
        return {}

    def validate(self, body: bytes) -> Any:
        content = json.loads(body)["content"]
        match = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        try:
            metadata = yaml.safe_load(match[1]) if match else None
        except yaml.YAMLError as error:
            return {"errors": [{"message": str(error)}], "warnings": []}
        problems = [] if isinstance(metadata, dict) else [{"message": "no metadata"}]
        return {"errors": problems, "warnings": []}

    def preupload(self, body: bytes, name: str, revision: str) -> Any:
        self.may_write(name.partition("/")[0])
        if self.repository(name).number(revision) is None:
            raise _RefusalError(404, "Invalid rev id", "RevisionNotFound")
        return {
            "files": [
                {"path": each["path"], "uploadMode": _mode(each), "shouldIgnore": False, "oid": None}
                for each in json.loads(body)["files"]
            ]
        }

    def batch(self, body: bytes, name: str) -> Any:
        self.may_write(name.partition("/")[0])
        objects = json.loads(body)["objects"]
        actions = [
            {} if each["oid"] in self.server.objects else {"upload": {"href": f"{self.server.url}/lfs/{each['oid']}"}}
            for each in objects
        ]
        return {
            "transfer": "basic",
            "objects": [
                {**each, **({"actions": action} if action else {})}
                for each, action in zip(objects, actions, strict=True)
            ],
        }

    def store(self, body: bytes, oid: str) -> Any:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _RefusalError(400, "Wrong content")
        self.server.objects[oid] = body
        return {}

    def commit(self, body: bytes, name: str, branch: str) -> Any:
        self.may_write(name.partition("/")[0])
        repository = self.repository(name)
        header, *changes = [json.loads(line) for line in body.splitlines()]
        files = dict(repository.commits[repository.branches[branch]])
        for change in changes:
            value = change["value"]
            stored = change["key"] == "lfsFile"
            files[value["path"]] = self.server.objects[value["oid"]] if stored else base64.b64decode(value["content"])
        repository.commits.append(files)
        repository.messages.append(header["value"]["summary"])
        repository.branches[branch] = len(repository.commits) - 1
        oid = commit_id(repository.branches[branch])
        return {"success": True, "commitOid": oid, "commitUrl": f"{self.server.url}/{name}/commit/{oid}"}

    def resolve(self, _: bytes, name: str, revision: str, path: str) -> bytes:
        repository = self.repository(name)
        number = repository.number(revision)
        if number is None or path not in repository.commits[number]:
            raise _RefusalError(404, "Entry not found", "EntryNotFound")
        return repository.commits[number][path]


def _mode(file: dict[str, Any]) -> str:
    try:
        base64.b64decode(file["sample"]).decode()
    except UnicodeDecodeError:
        return "lfs"
    return "regular"


_NAME = r"([\w.-]+/[\w.-]+)"
_ROUTES = (
    ("GET", "/api/whoami-v2", _Answer.whoami),
    ("POST", "/api/repos/create", _Answer.create),
    ("POST", "/api/validate-yaml", _Answer.validate),
    ("GET", f"/api/models/{_NAME}", _Answer.info),
    ("GET", f"/api/models/{_NAME}/revision/(.+)", _Answer.info),
    ("GET", f"/api/models/{_NAME}/tree/(.+)", _Answer.tree),
    ("POST", f"/api/models/{_NAME}/branch/(.+)", _Answer.branch),
    ("POST", f"/api/models/{_NAME}/preupload/(.+)", _Answer.preupload),
    ("POST", f"/api/models/{_NAME}/commit/(.+)", _Answer.commit),
    ("POST", rf"/{_NAME}\.git/info/lfs/objects/batch", _Answer.batch),
    ("PUT", "/lfs/([0-9a-f]{64})", _Answer.store),
    ("GET HEAD", f"/{_NAME}/resolve/([^/]+)/(.+)", _Answer.resolve),
)


@contextlib.contextmanager
def writable_hub() -> Iterator[WritableHub]:
    """A hub on this machine, for the time of the block."""
    with WritableHub() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
