"""The tools of MCP servers that the operator has allowed, as they were then; a file in `state_dir`.

`soundstage mcp-servers allow` writes it. A running server reads it anew when it has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from agent.mcp_servers.definitions import ToolDefinition
from soundstage.errors import Unavailable
from soundstage.private_files import write_anew

FILE = "mcp-servers.json"


class _Document(BaseModel):
    format: int = 1
    servers: dict[str, tuple[ToolDefinition, ...]] = Field(default_factory=dict)


class AllowedTools:
    """Reads and writes the file. `stamp` changes when the file does."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE

    def stamp(self) -> tuple[int, int, int]:
        """Returns what tells one version of the file from another; zeros without a file."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return 0, 0, 0
        return found.st_mtime_ns, found.st_size, found.st_ino

    def of(self, server: str) -> tuple[ToolDefinition, ...]:
        """Returns the allowed tools of a server. Raises `mcp_server.list_unreadable`."""
        return self._read().servers.get(server, ())

    def allow(self, server: str, tools: Sequence[ToolDefinition]) -> None:
        """Replaces the allowed tools of a server."""
        document = self._read()
        document.servers[server] = tuple(tools)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        half = self._path.with_name(f".{self._path.name}.half")
        write_anew(half, document.model_dump_json(indent=1).encode())
        half.replace(self._path)

    def _read(self) -> _Document:
        try:
            return _Document.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return _Document()
        except (OSError, ValidationError) as error:
            raise Unavailable(
                "mcp_server.list_unreadable",
                f"The list of allowed tools {self._path} cannot be read.",
                "Remove the file, then run `soundstage mcp-servers allow NAME` for each server.",
            ) from error
