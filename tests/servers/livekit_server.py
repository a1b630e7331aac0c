"""A LiveKit server that `soundstage up` runs: its settings on free ports, and the wait until it answers."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import httpx
import pytest


def livekit_variables() -> dict[str, str]:
    """Returns the settings; skips the test where no LiveKit server has been built."""
    cache = Path.home() / ".cache/soundstage/tools"
    if shutil.which("livekit-server") is None and not list(cache.glob("livekit-*/livekit")):
        pytest.skip("there is no LiveKit server: run tools/build livekit")
    return {
        "SOUNDSTAGE_VOICE__LIVEKIT__SERVE": "true",
        "SOUNDSTAGE_VOICE__LIVEKIT__PORT": _free_port(),
        "SOUNDSTAGE_VOICE__LIVEKIT__TCP_PORT": _free_port(),
        "SOUNDSTAGE_VOICE__LIVEKIT__UDP_PORT": _free_port(socket.SOCK_DGRAM),
    }


def answers(variables: dict[str, str]) -> bool:
    """Returns whether the server with these settings answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{variables['SOUNDSTAGE_VOICE__LIVEKIT__PORT']}").is_success
    except httpx.TransportError:
        return False


def _free_port(kind: int = socket.SOCK_STREAM) -> str:
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])
