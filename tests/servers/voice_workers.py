"""Waits for the voice worker of a studio, which connects some seconds after the server is there."""

from __future__ import annotations

import httpx
from studio_page import Studio
from waiting import eventually


def wait_for_voice_worker(studio: Studio) -> None:
    """Returns when a worker has connected."""

    def workers() -> int:
        url = f"{studio.url}/api/voice/status"
        answer = httpx.get(url, headers=studio.headers, timeout=60, trust_env=False)
        return int(answer.raise_for_status().json()["workers"])

    eventually(workers, "a voice worker")
