"""A Hugging Face hub on this machine: it speaks the calls that huggingface_hub and `datasets` make,
and counts them."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

from prefdata.dataset.hub.plan import PlannedFile

WRITER, READER = "hf_writer", "hf_reader"
"""The tokens that it knows."""


@dataclass
class Repo:
    """A repository: its commits, each with all files by path, and its tags."""

    type: str
    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        digest = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits.append((digest, files))
        return digest

    def resolve(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1]
        oid = self.tags.get(revision, revision)
        return next((each for each in self.commits if each[0] == oid), None)


@dataclass
class Hub:
    """The hub's state.

    Attributes:
        repos: By "TYPE OWNER/NAME".
        objects: Large files, by SHA-256.
        counts: The requests by what they are for, such as "commit" and "upload".
        refusals: (what for, status, headers): the next answers to such requests.
    """

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    refusals: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)

    def make(self, name: str, type: str = "dataset", private: bool = False, **files: bytes) -> Repo:
        repo = Repo(type, private)
        repo.commit({".gitattributes": b"*.parquet filter=lfs\n", **files})
        self.repos[f"{type} {name}"] = repo
        return repo

    def read(self, name: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a dataset."""
        found = self.repos[f"dataset {name}"].resolve(revision)
        assert found
        return found[1]


def read_planned(file: PlannedFile) -> bytes:
    """What is in a file of a plan."""
    source = file.source
    return Path(source).read_bytes() if isinstance(source, str) else source


def is_large(path: str) -> bool:
    return path.endswith((".parquet", ".png"))


class Handler(BaseHTTPRequestHandler):
    """Answers by the routes below: a pattern, what the request is for, and who answers it."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def handle_any(self) -> None:
        address = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else self._read_chunks()
        self.query = parse_qs(address.query)
        for method, pattern, purpose, answer in ROUTES:
            match = re.fullmatch(pattern, unquote(address.path))
            if match and self.command in method.split("|"):
                self.hub.counts[purpose] += 1
                for place, (what, status, headers) in enumerate(self.hub.refusals):
                    if what == purpose:
                        del self.hub.refusals[place]
                        return self.say({"error": f"refused with {status}"}, status, **headers)
                writes = purpose in ("create", "preupload", "batch", "commit", "tag")
                token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
                if token not in (WRITER, READER) and (writes or purpose == "whoami"):
                    return self.say({"error": "Invalid credentials"}, 401)
                if writes and token == READER:
                    return self.say({"error": "You need write access"}, 403)
                return answer(self, **match.groupdict())
        return self.say({"error": f"{self.command} {self.path}"}, 404)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_any

    def _read_chunks(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return b""
        chunks = b""
        while size := int(self.rfile.readline(), 16):
            chunks += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return chunks

    def say(self, value: Any, status: int = 200, **headers: str) -> None:
        content = value if isinstance(value, bytes) else orjson.dumps(value)
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def find(self, type: str, repo: str, revision: str = "main") -> Any:
        found = self.hub.repos.get(f"{type} {repo}")
        if found is None:
            self.say({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
            return None
        commit = found.resolve(revision or "main")
        if commit is None:
            self.say({"error": "Invalid rev id"}, 404, X_Error_Code="RevisionNotFound")
            return None
        return found, *commit

    def whoami(self) -> None:
        self.say({"type": "user", "name": "me", "orgs": [{"name": "org"}]})

    def create(self) -> None:
        given = orjson.loads(self.body)
        name = f"{given['organization']}/{given['name']}"
        if f"{given['type']} {name}" in self.hub.repos:
            return self.say({"error": "You already created this repo"}, 409)
        self.hub.make(name, given["type"], given.get("visibility") == "private")
        return self.say({"url": f"{self.hub.url}/datasets/{name}", "name": name, "id": name})

    def info(self, type: str, repo: str, revision: str = "main") -> None:
        if found := self.find(type, repo, revision):
            siblings = [{"rfilename": path} for path in sorted(found[2])]
            shown = {"id": repo, "_id": "0", "sha": found[1], "private": found[0].private}
            self.say({**shown, "siblings": siblings, "tags": [], "downloads": 0, "likes": 0})

    def refs(self, type: str, repo: str) -> None:
        if found := self.find(type, repo):
            tags = [
                {"name": name, "ref": f"refs/tags/{name}", "targetCommit": oid}
                for name, oid in found[0].tags.items()
            ]
            self.say({"branches": [], "converts": [], "tags": tags})

    def preupload(self, repo: str) -> None:
        if self.find("dataset", repo):
            files = orjson.loads(self.body)["files"]
            self.say(
                {
                    "files": [
                        {
                            "path": file["path"],
                            "uploadMode": "lfs" if is_large(file["path"]) else "regular",
                            "shouldIgnore": False,
                        }
                        for file in files
                    ]
                }
            )

    def batch(self, repo: str) -> None:
        objects = orjson.loads(self.body)["objects"]
        for each in objects:
            if each["oid"] not in self.hub.objects:
                each["actions"] = {"upload": {"href": f"{self.hub.url}/objects/{each['oid']}"}}
        self.say({"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.objects[oid] = self.body
        self.say(b"")

    def commit(self, repo: str) -> None:
        if not (found := self.find("dataset", repo)):
            return None
        files = dict(found[2])
        for line in map(orjson.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "header" and value.get("parentCommit", found[1]) != found[1]:
                return self.say({"error": "The branch has moved"}, 412)
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        oid = found[0].commit(files)
        return self.say(
            {"commitOid": oid, "commitUrl": f"{self.hub.url}/datasets/{repo}/commit/{oid}"}
        )

    def tag(self, repo: str, revision: str) -> None:
        if self.command == "DELETE":
            del self.hub.repos[f"dataset {repo}"].tags[revision]
        elif found := self.find("dataset", repo, revision):
            found[0].tags[orjson.loads(self.body)["tag"]] = found[1]
        self.say({})

    def validate(self) -> None:
        self.say({"warnings": [], "errors": []})

    def fetch(self, repo: str, revision: str, path: str) -> None:
        if not (found := self.find("dataset", repo, revision)):
            return None
        content = found[2].get(path)
        if content is None:
            return self.say({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
        status, headers = 200, {"X_Repo_Commit": found[1], "ETag": f'"{digest(path, content)}"'}
        if span := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            begin, end = int(span[1]), int(span[2] or len(content) - 1)
            headers["Content_Range"] = f"bytes {begin}-{end}/{len(content)}"
            status, content = 206, content[begin : end + 1]
        return self.say(content, status, **headers)

    def tree(self, repo: str, revision: str, path: str = "") -> None:
        if not (found := self.find("dataset", repo, revision)):
            return None
        below = f"{path}/" if path else ""
        recursive = self.query.get("recursive", ["false"])[0].lower() == "true"
        entries: dict[str, dict[str, Any]] = {}
        for name, content in sorted(found[2].items()):
            if not name.startswith(below):
                continue
            parts = name.removeprefix(below).split("/")
            for depth in range(1, len(parts)) if recursive else range(1, min(len(parts), 2)):
                folder = below + "/".join(parts[:depth])
                entries.setdefault(folder, {"type": "directory", "path": folder, "oid": "0" * 40})
            if recursive or len(parts) == 1:
                entries[name] = describe(name, content)
        if path and not entries:
            return self.say({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
        return self.say(list(entries.values()))

    def paths(self, repo: str, revision: str) -> None:
        if found := self.find("dataset", repo, revision):
            named = parse_qs(self.body.decode()).get("paths", [])
            files = [describe(path, found[2][path]) for path in named if path in found[2]]
            folders = [
                {"type": "directory", "path": path, "oid": "0" * 40}
                for path in named
                if any(file.startswith(f"{path}/") for file in found[2])
            ]
            self.say(files + folders)


def digest(path: str, content: bytes) -> str:
    if is_large(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def describe(path: str, content: bytes) -> dict[str, Any]:
    oid = digest(path, content)
    entry = {"type": "file", "path": path, "size": len(content), "oid": oid[:40]}
    if is_large(path):
        entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 100}
    return entry


_TYPE, _REPO, _REV = r"(?P<type>\w+)s", r"(?P<repo>[\w.-]+/[\w.-]+)", r"(?P<revision>[\w.-]+)"
ROUTES = (
    ("GET", "/api/whoami-v2", "whoami", Handler.whoami),
    ("POST", "/api/repos/create", "create", Handler.create),
    ("POST", "/api/validate-yaml", "validate", Handler.validate),
    ("GET", f"/api/{_TYPE}/{_REPO}", "info", Handler.info),
    ("GET", f"/api/{_TYPE}/{_REPO}/revision/{_REV}", "info", Handler.info),
    ("GET", f"/api/{_TYPE}/{_REPO}/refs", "refs", Handler.refs),
    ("POST", f"/api/datasets/{_REPO}/preupload/main", "preupload", Handler.preupload),
    ("POST", f"/datasets/{_REPO}.git/info/lfs/objects/batch", "batch", Handler.batch),
    ("PUT", r"/objects/(?P<oid>\w+)", "upload", Handler.upload),
    ("POST", f"/api/datasets/{_REPO}/commit/main", "commit", Handler.commit),
    ("POST|DELETE", f"/api/datasets/{_REPO}/tag/{_REV}", "tag", Handler.tag),
    ("GET|HEAD", f"/datasets/{_REPO}/resolve/{_REV}/(?P<path>.+)", "fetch", Handler.fetch),
    ("GET", f"/api/datasets/{_REPO}/tree/{_REV}(?:/(?P<path>.+))?", "tree", Handler.tree),
    ("POST", f"/api/datasets/{_REPO}/paths-info/{_REV}", "paths", Handler.paths),
)


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub without repositories, until the end."""
    hub = Hub()
    handler = type("BoundHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
