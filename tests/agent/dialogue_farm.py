"""A double of the provisioning API and of Nomad's API on loopback, for dialogues about machines.

It holds a list of machines that can be drained and retired.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SEEN_AT = "2026-11-22T08:00:00Z"
HARDWARE = {
    "cpu_model": "Xeon",
    "cpu_threads": 16,
    "memory_mib": 65536,
    "disks": [{"name": "sda", "bytes": 480_000_000_000}],
    "gpus": [{"model": "RTX 4060", "vram_mib": 8188}],
}


@dataclass
class FarmDouble:
    """The machines by name; those in `drained` take no work."""

    names: Sequence[str]
    url: str = ""
    drained: set[str] = field(default_factory=set)
    retired: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)
    """Requests that no path of the double answers."""

    @property
    def states(self) -> dict[str, str]:
        return {name: self._state(name) for name in self.names}

    def _state(self, name: str) -> str:
        if name in self.retired:
            return "retired"
        return "draining" if name in self.drained else "ready"

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Returns the content of an answer; None for what is not there."""
        match [method, *path.strip("/").split("/")]:
            case ["GET", "api", "machines"]:
                return [self._machine(name) for name in self.names]
            case ["GET", "api", "machines", id_] if (name := id_.removeprefix("mch_")) in self.names:
                return {**self._machine(name), "hardware": HARDWARE}
            case ["GET", "api", "machines", _, "timeline"]:
                return {"spans": [], "seconds": 0, "critical_seconds": 0}
            case ["GET", "api", "machines", _, "retire"]:
                return {"steps": ["It is drained."], "digest": "0"}
            case ["POST", "api", "machines", id_, "retire"]:
                self.retired.add(id_.removeprefix("mch_"))
                return self._machine(id_.removeprefix("mch_"))
            case ["GET", "api", "runs" | "playbooks" | "audit"] | ["GET", "v1", "jobs" | "allocations"]:
                return []
            case ["GET", "v1", "nodes"]:
                return [self._node(name) for name in self.names]
            case ["POST" | "PUT", "v1", "node", id_, "drain"]:
                name = id_.removeprefix("node-")
                (self.drained.add if body.get("DrainSpec") else self.drained.discard)(name)
                return {"NodeModifyIndex": 1}
        self.unknown.append(f"{method} {path}")
        return None

    def _machine(self, name: str) -> dict[str, Any]:
        return {
            "id": f"mch_{name}",
            "name": name,
            "state": "retired" if name in self.retired else "ready",
            "pool": "default",
            "cause": "",
            "tags": [],
            "address": "10.0.0.7",
            "created_at": SEEN_AT,
            "seen_at": SEEN_AT,
        }

    def _node(self, name: str) -> dict[str, Any]:
        idle = name in self.drained
        return {
            "ID": f"node-{name}",
            "Name": name,
            "Status": "ready",
            "Drain": idle,
            "SchedulingEligibility": "ineligible" if idle else "eligible",
            "NodeResources": {"Devices": None},
        }


@contextmanager
def farm_double(names: Sequence[str]) -> Iterator[FarmDouble]:
    """Serves both APIs on one port."""
    farm = FarmDouble(names)

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            found = farm.answer(self.command, urlsplit(self.path).path, body)
            content = json.dumps(found if found is not None else {"detail": "not found"}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("X-Nomad-Index", "1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = _respond  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    farm.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield farm
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
