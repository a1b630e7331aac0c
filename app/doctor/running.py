"""The server that works on this state folder, as the doctor asks it."""

from __future__ import annotations

from typing import Any, Protocol


class Server(Protocol):
    """A connection to a server that runs."""

    async def get(self, path: str) -> Any:
        """Return the content of the answer. Raises SoundstageError."""
