"""A server of files that behaves like the hub, and misbehaves where a test wants it to.

`/OWNER/REPO/resolve/REVISION/FILE` answers as the hub does for large files: a redirect to another
host with the commit, size and digest in its headers; `/api/models/OWNER/REPO/tree/main` lists the
files. `/files/NAME` is a plain file.
"""

import hashlib
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "maker/model"

Fault = Literal["drop", "stall", "busy", "ignore", "other", "twist", "gone", "forbidden"]
"""What an answer with a body does: it ends after a part of what it promised, says nothing more,
is 503, ignores the range, carries another version's tag, or has wrong bytes in it."""


@dataclass(slots=True)
class Stored:
    data: bytes
    has_ranges: bool = True
    has_length: bool = True
    version: int = 1
    faults: list[Fault] = field(default_factory=list[Fault])
    """One for each answer, in order; then all is well."""
    pace: float = 0.0
    """Seconds before each piece of 64 KiB."""

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.data).hexdigest()}-{self.version}"'


@dataclass(frozen=True, slots=True)
class Asked:
    host: str
    path: str
    span: str | None
    authorization: str | None


@dataclass(slots=True)
class Hub:
    port: int
    files: dict[str, Stored] = field(default_factory=dict[str, Stored])
    asked: list[Asked] = field(default_factory=list[Asked])
    sent: int = 0
    active: int = 0
    """Bodies that are being sent, and how many there were at most."""
    most_active: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    redirect: str | None = None
    """Where `/files/*` redirects to, instead of answering."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        return f"{self.endpoint}/files/{name}"

    def bodies(self) -> list[str | None]:
        """The ranges that were asked for, without the one that only asks who it is."""
        found = [asked.span for asked in self.asked if asked.path.startswith("/files/")]
        return [span for span in found if span != "bytes=0-0"]

    def starts(self) -> list[int]:
        """Where those ranges begin."""
        spans = [span for span in self.bodies() if span is not None]
        return [int(span.removeprefix("bytes=").partition("-")[0]) for span in spans]


@contextmanager
def run_hub() -> Generator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.block_on_close = False
    hub = Hub(server.server_address[1])
    _Handler.hubs[hub.port] = hub
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        del _Handler.hubs[hub.port]


class _Handler(BaseHTTPRequestHandler):
    hubs: dict[int, Hub] = {}  # noqa: RUF012
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.hubs[self.server.server_address[1]]  # pyright: ignore[reportIndexIssue, reportArgumentType]
        headers = self.headers
        hub.asked.append(
            Asked(headers["Host"], self.path, headers["Range"], headers["Authorization"])
        )
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"] and parts[4:] == ["tree", "main"]:
            self._list(hub, "/".join(parts[2:4]))
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve(hub, parts)
        elif parts[0] == "files" and hub.redirect is not None:
            self._answer(302, {"Location": hub.redirect})
        elif parts[0] == "files" and parts[-1] in hub.files:
            self._send(hub, hub.files[parts[-1]])
        else:
            self._answer(404, {})

    def _list(self, hub: Hub, repository: str) -> None:
        if repository != REPOSITORY:
            self._answer(401, {"X-Error-Code": "RepoNotFound"})
            return
        files = [
            {"type": "file", "path": name, "size": len(stored.data), "oid": "0" * 40}
            for name, stored in hub.files.items()
        ]
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(files).encode())

    def _resolve(self, hub: Hub, parts: list[str]) -> None:
        repository, revision, name = "/".join(parts[:2]), parts[3], parts[-1]
        if repository != REPOSITORY:
            self._answer(401, {"X-Error-Code": "RepoNotFound"})
        elif revision not in {"main", COMMIT}:
            self._answer(404, {"X-Error-Code": "RevisionNotFound"})
        elif name not in hub.files:
            self._answer(404, {"X-Error-Code": "EntryNotFound"})
        else:
            data = hub.files[name].data
            self._answer(
                302,
                {
                    "X-Repo-Commit": COMMIT,
                    "X-Linked-Size": str(len(data)),
                    "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
                    "Location": f"http://localhost:{hub.port}/files/{name}?signature=secret",
                },
            )

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _send(self, hub: Hub, stored: Stored) -> None:
        span = self.headers["Range"]
        is_probe = span == "bytes=0-0"
        fault = stored.faults.pop(0) if stored.faults and not is_probe else None
        if fault in {"busy", "gone", "forbidden"}:
            self._answer({"busy": 503, "gone": 404, "forbidden": 403}[fault], {})
            return
        data, status, headers = stored.data, 200, {"ETag": stored.etag}
        condition = self.headers["If-Range"]
        if fault == "other":
            headers["ETag"] = '"other"'
        is_asked = stored.has_ranges and fault != "ignore"
        if span is not None and is_asked and condition in {None, stored.etag}:
            start, _, end = span.removeprefix("bytes=").partition("-")
            first, last = int(start), min(int(end), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data, status = data[first : last + 1], 206
        self.send_response(status)
        if stored.has_length:
            headers["Content-Length"] = str(len(data))
        else:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with hub.lock:
            hub.active += 1
            hub.most_active = max(hub.most_active, hub.active)
        self._send_body(hub, stored, data, fault)
        with hub.lock:
            hub.active -= 1

    def _send_body(self, hub: Hub, stored: Stored, data: bytes, fault: Fault | None) -> None:
        if fault == "twist":
            data = data[:-1] + bytes([data[-1] ^ 1])
        if fault in {"drop", "stall"}:
            data = data[: len(data) // 2]
        try:
            for start in range(0, len(data), 65_536):
                time.sleep(stored.pace)
                piece = data[start : start + 65_536]
                self.wfile.write(piece)
                hub.sent += len(piece)
            if fault == "stall":
                self.wfile.flush()
                time.sleep(3)
        except OSError:
            pass
        if fault in {"drop", "stall"} or not stored.has_length:
            self.close_connection = True
