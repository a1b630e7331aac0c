"""A LiveKit server that `soundstage up` runs: its settings on free ports, and the wait until it answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import httpx
import pytest
from ports import free_port


def livekit_variables() -> dict[str, str]:
    """Returns the settings; skips the test where no LiveKit server has been built."""
    cache = Path.home() / ".cache/soundstage/tools"
    if shutil.which("livekit-server") is None and not list(cache.glob("livekit-*/livekit")):
        pytest.skip("there is no LiveKit server: run tools/build livekit")
    return {
        "SOUNDSTAGE_VOICE__LIVEKIT__SERVE": "true",
        **{
            f"SOUNDSTAGE_VOICE__LIVEKIT__{name}": str(free_port())
            for name in ("PORT", "TCP_PORT", "UDP_PORT")
        },
    }


def answers(variables: dict[str, str]) -> bool:
    """Returns whether the server with these settings answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{variables['SOUNDSTAGE_VOICE__LIVEKIT__PORT']}").is_success
    except httpx.TransportError:
        return False
