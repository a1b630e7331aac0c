"""A small control plane for `avatar work`: gives one order and its files, and keeps all that it is sent."""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Control(ThreadingHTTPServer):
    """The answers of a control plane, and its requests. `away` counts requests that it will fail."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.order: dict[str, Any] = {
            "task_id": "t",
            "arguments": [],
            "files": [],
            "time_limit_s": 30,
            "grace_s": 1,
            "patience_s": 20,
        }
        self.held: dict[str, bytes] = {}
        """Files by their hash."""
        self.away = 0
        self.dies_after_output = False
        self.dead = False
        self.damaged = 0
        self.fetched = 0
        self.stop = False
        self.forget: bool | None = None
        """None: not said, as an older control plane does not."""
        self.outputs: dict[str, bytes] = {}
        self.reports: list[dict[str, Any]] = []
        self.tokens: set[str] = set()

    def hold(self, content: bytes) -> dict[str, Any]:
        """Keeps it for the worker; returns how an order names it."""
        sha256 = "sha256:" + hashlib.sha256(content).hexdigest()
        self.held[sha256] = content
        return {"sha256": sha256, "bytes": len(content)}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def lines(self) -> list[str]:
        return [line["event"] for report in self.reports for line in report["lines"]]

    @property
    def end(self) -> dict[str, Any] | None:
        return next((report["end"] for report in self.reports if report["end"]), None)


class Answers(BaseHTTPRequestHandler):
    server: Control

    def _away(self) -> bool:
        self.server.tokens.add(self.headers.get("Authorization", ""))
        if self.server.dead:
            # Without an answer.
            return True
        if self.server.away:
            self.server.away -= 1
            self._say(503, {})
            return True
        return False

    def _say(self, status: int, content: Any) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _read_body(self) -> bytes:
        return self.server.held[self.path.rpartition("/")[2]]

    def do_GET(self) -> None:
        if self._away():
            return
        if self.path.endswith("/order"):
            self._say(200, self.server.order)
        elif self.server.damaged:
            self.server.damaged -= 1
            self._say(200, bytes(len(self._read_body())))
        else:
            self.server.fetched += 1
            self._say(200, self._read_body())

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._away():
            self.server.outputs[self.path.rpartition("/")[2]] = body
            self._say(204, b"")
            self.server.dead = self.server.dies_after_output

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._away():
            return
        if "/outputs/" in self.path:
            self._say(200, {"url": None})
            return
        result = (body["end"] or {}).get("result") or {"files": []}
        if any(file["sha256"] not in self.server.outputs for file in result["files"]):
            self._say(409, {"code": "transfer.outputs_missing"})
        else:
            self.server.reports.append(body)
            forget = {} if self.server.forget is None else {"forget": self.server.forget}
            self._say(200, {"stop": self.server.stop} | forget)

    def log_message(self, *arguments: Any) -> None:
        return
