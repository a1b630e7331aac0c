"""MCP servers of others as processes, and the settings that name them; for the tests of agent/mcp_servers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waiting import eventually

from agent.mcp_servers import McpServers
from soundstage.backoff import Backoff
from soundstage.http import NO_LISTENERS
from soundstage.settings import Settings
from soundstage.settings.conversation import McpServerSettings

PROGRAM = Path(__file__).parents[1] / "servers" / "other_mcp_server.py"
NAME = "other"
AT_ONCE = Backoff(first_s=0.0, longest_s=0.0)
TIMEOUT_S = 60.0
"""Of calls that are answered: processes start slowly on a busy machine."""


@dataclass(frozen=True)
class OtherServer:
    """A server whose behaviour is a file; `settings` are its section."""

    behaviour: Path
    settings: dict[str, Any]

    def says(self, **behaviour: Any) -> None:
        """Changes what it says from its next message on."""
        half = self.behaviour.with_suffix(".half")
        half.write_text(json.dumps(behaviour))
        half.replace(self.behaviour)

    def calls(self) -> list[dict[str, Any]]:
        """Returns the calls of tools that have reached it."""
        path = Path(f"{self.behaviour}.calls")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def pid(self, of: str = "pid") -> int:
        """Returns the number of its process, or of the `child` of it."""
        return int(Path(f"{self.behaviour}.{of}").read_text())

    def among(self, settings: Settings, **more: Any) -> Settings:
        """Returns the settings of an installation with this server."""
        agent = {"mcp_servers": {NAME: {**self.settings, **more}}}
        return Settings.model_validate({**settings.model_dump(exclude={"agent"}), "agent": agent})

    def open(self, state_dir: Path, restarts: Backoff = AT_ONCE, **more: Any) -> McpServers:
        """Returns the services with this server alone."""
        section = McpServerSettings.model_validate({**self.settings, **more})
        return McpServers({NAME: section}, state_dir, NO_LISTENERS, restarts)


def stdio_server(folder: Path, **behaviour: Any) -> OtherServer:
    """Returns a server that the client starts."""
    path = folder / "behaviour.json"
    command = {"command": sys.executable, "args": [str(PROGRAM), str(path)], "timeout_s": TIMEOUT_S}
    server = OtherServer(path, command)
    server.says(**behaviour)
    return server


@contextmanager
def http_server(folder: Path, *, port: int | None = None, **behaviour: Any) -> Iterator[OtherServer]:
    """Runs a server that listens on loopback."""
    path = folder / "behaviour.json"
    port = free_port() if port is None else port
    server = OtherServer(path, {"url": f"http://127.0.0.1:{port}/mcp", "timeout_s": TIMEOUT_S})
    server.says(**behaviour)
    process = subprocess.Popen([sys.executable, str(PROGRAM), str(path), str(port)])
    try:
        eventually(lambda: _listens(port), "the server")
        yield server
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@asynccontextmanager
async def open_allowed(server: OtherServer, state_dir: Path, **more: Any) -> AsyncIterator[McpServers]:
    """Opens the services, with all tools of the server allowed."""
    servers = server.open(state_dir, **more)
    try:
        await allow_all(servers)
        yield servers
    finally:
        await servers.close()


async def allow_all(servers: McpServers) -> None:
    """Allows what the server lists now."""
    listed = await servers.compare(NAME)
    servers.allowed.allow(
        NAME, [one.definition for one in listed if one.state in ("new", "changed", "allowed")]
    )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def is_alive(pid: int) -> bool:
    """Returns whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
