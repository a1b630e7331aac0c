"""A double of Nomad's API on loopback, for the views of nodes and jobs: one node, one service, its log."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ALLOCATION = "11111111-2222-3333-4444-555555555555"
CARD = "GPU-77777777-aaaa-0000-0000-000000000003"
SECOND_NS = 10**9
BEGAN_NS = 1_764_000_000 * SECOND_NS


class NomadDouble:
    """`changed` guards what it holds; `tell` emits an event to those who follow."""

    def __init__(self) -> None:
        self.url = ""
        self.drained = False
        self.stopped = False
        self.lines = ["first line\n"]
        self.log_ended = False
        self.index = 10
        self.closing = False
        self.changed = threading.Condition()

    def tell(self) -> None:
        """Something has changed: those who follow hear of it."""
        with self.changed:
            self.index += 1
            self.changed.notify_all()

    def write(self, line: str) -> None:
        """The task writes a line."""
        with self.changed:
            self.lines.append(line)
            self.changed.notify_all()

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Returns the content of an answer; None for what is not there."""
        match [method, *path.removeprefix("/v1/").split("/")]:
            case ["GET", "nodes"]:
                return [self._node()]
            case ["GET", "jobs"]:
                return [self._job()]
            case ["GET", "allocations"] | ["GET", "job", "voices", "allocations"]:
                return [] if self.stopped else [self._allocation()]
            case ["GET", "job", "voices"]:
                tasks = [{"Name": "speak", "Driver": "exec"}]
                return {**self._job(), "TaskGroups": [{"Name": "server", "Count": 1, "Tasks": tasks}]}
            case ["GET", "job", "voices", "evaluations"]:
                return []
            case ["GET", "job", "voices", "deployment"]:
                return {"Status": "successful"}
            case ["DELETE", "job", "voices"]:
                self.stopped = True
                self.tell()
                return {"EvalID": "e"}
            case ["POST" | "PUT", "node", _, "drain"]:
                self.drained = bool(body.get("DrainSpec"))
                self.tell()
                return {"NodeModifyIndex": self.index}
        return None

    def _node(self) -> dict[str, Any]:
        memory = {"Attributes": {"memory": {"Int": 8188}}}
        group = {"Vendor": "nvidia", "Type": "gpu", "Name": "RTX 4060", **memory}
        return {
            "ID": "node-1",
            "CreateIndex": 5,
            "Name": "gpu-1",
            "Status": "ready",
            "NodePool": "gpu",
            "Drain": self.drained,
            "SchedulingEligibility": "ineligible" if self.drained else "eligible",
            "NodeResources": {
                "Cpu": {"CpuShares": 16_000},
                "Memory": {"MemoryMB": 32_768},
                "Devices": [{**group, "Instances": [{"ID": CARD, "Healthy": True}]}],
            },
            "ReservedResources": {},
        }

    def _job(self) -> dict[str, Any]:
        counts = {"Running": int(not self.stopped), "Starting": 0, "Queued": 0}
        return {
            "ID": "voices",
            "Name": "voices",
            "Type": "service",
            "Status": "dead" if self.stopped else "running",
            "Stop": self.stopped,
            "Priority": 50,
            "SubmitTime": BEGAN_NS,
            "JobSummary": {"Summary": {"server": counts}},
            "Meta": None,
        }

    def _allocation(self) -> dict[str, Any]:
        device = {"Vendor": "nvidia", "Type": "gpu", "Name": "RTX 4060", "DeviceIDs": [CARD]}
        resources = {"Cpu": {"CpuShares": 4000}, "Memory": {"MemoryMB": 8192}, "Devices": [device]}
        events = [{"Type": "Started", "DisplayMessage": "Task started by client", "Time": BEGAN_NS}]
        return {
            "ID": ALLOCATION,
            "NodeID": "node-1",
            "NodeName": "gpu-1",
            "JobID": "voices",
            "JobType": "service",
            "TaskGroup": "server",
            "ClientStatus": "running",
            "DesiredStatus": "run",
            "CreateIndex": 5,
            "ModifyIndex": 5,
            "CreateTime": BEGAN_NS,
            "TaskStates": {"speak": {"State": "running", "Failed": False, "Restarts": 2, "Events": events}},
            "AllocatedResources": {"Tasks": {"speak": resources}},
        }


@contextmanager
def nomad_double(double: NomadDouble | None = None) -> Iterator[NomadDouble]:
    """Serves it on a port of its own."""
    double = double or NomadDouble()

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            split = urlsplit(self.path)
            path, query = unquote(split.path), parse_qs(split.query)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            with suppress(BrokenPipeError, ConnectionError):
                if path == "/v1/event/stream":
                    self._events()
                elif path.startswith("/v1/client/fs/logs/"):
                    self._log(follow=query["follow"] == ["true"], stream=query["type"][0])
                else:
                    self._send(double.answer(self.command, path, body))

        def _send(self, found: Any) -> None:
            content = json.dumps(found if found is not None else "not found").encode()
            self._head(200 if found is not None else 404, "application/json", len(content))
            self.wfile.write(content)

        def _head(self, status: int, kind: str, length: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("X-Nomad-Index", str(double.index))
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()

        def _events(self) -> None:
            self._head(200, "application/json")
            sent_index = double.index
            while not double.closing:
                with double.changed:
                    double.changed.wait(0.5)
                line: dict[str, Any] = {}
                if double.index > sent_index:
                    sent_index = double.index
                    event = {"Topic": "Node", "Type": "NodeDrain", "Key": "node-1", "Index": sent_index}
                    line = {"Index": sent_index, "Events": [event]}
                self.wfile.write(json.dumps(line).encode() + b"\n")
                self.wfile.flush()

        def _log(self, *, follow: bool, stream: str) -> None:
            self._head(200, "text/plain")
            sent = 0
            while stream == "stderr":
                with double.changed:
                    lines, ended = double.lines[sent:], double.log_ended or not follow
                    if not lines and not ended and not double.closing:
                        double.changed.wait(0.5)
                sent += len(lines)
                self.wfile.write("".join(lines).encode())
                self.wfile.flush()
                if ended or double.closing:
                    return

        do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Logs nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield double
    finally:
        double.closing = True
        server.shutdown()
        server.server_close()
        thread.join()
