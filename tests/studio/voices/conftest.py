"""A speech service that clones voices, as the only one of the settings, and a form that sends it samples."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from voice_server import VoiceServer, voice_server

from soundstage.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))
from voice_stage import FORM, Send, wav


@pytest.fixture
def server() -> Iterator[VoiceServer]:
    with voice_server() as running:
        yield running


@pytest.fixture
def settings(settings: Settings, server: VoiceServer) -> Settings:
    services = {"tts_openai": {"base_url": server.url, "model": "qwen3-tts"}}
    limits = {**settings.limits.model_dump(), "upload_mib": 12}
    return Settings.model_validate({**settings.model_dump(), "services": services, "limits": limits})


@pytest.fixture
def send(client: httpx.AsyncClient) -> Send:
    """Sends a sample in a form."""

    async def post(
        content: bytes | None = None, headers: dict[str, str] | None = None, **fields: str | None
    ) -> httpx.Response:
        data = {name: value for name, value in {**FORM, **fields}.items() if value is not None}
        file = {"file": ("ada.wav", wav() if content is None else content)}
        return await client.post("/api/voices", data=data, files=file, headers=headers or {})

    return post
