"""What the tests of voices say, send and look for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from avatar.spec import RenderSpec
from voice_server import VoiceServer

from soundstage.settings import Settings
from studio.renders.schemas import RenderRequest

SPOKEN = "The tide waits for nobody."
WHO = {"person": "Ada", "purpose": "My voice in tutorials.", "granted_at": "2026-11-02"}
FORM = {"name": "Ada", "said": SPOKEN, **WHO}
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(64)

Send = Callable[..., Any]


def wav(order: str = "sound 5000") -> bytes:
    """A recording, and what the stand-in for the worker shall find in it."""
    return b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64) + f"\n!{order}".encode()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    problem = answer.json()
    assert problem["detail"] and problem["hint"], problem
    return answer.status_code, problem["code"]


def spec_with(voice: dict[str, Any]) -> RenderRequest:
    return RenderRequest(
        spec=RenderSpec.model_validate({"scenes": [{"id": "s", "script": "Hi", "voice": voice}]})
    )


def list_files(settings: Settings) -> list[str]:
    folder = settings.state_dir / "blobs"
    return [path.name for path in folder.glob("[!.]*/**/*") if path.is_file()]


def persona_file(settings: Settings, voice: str) -> None:
    Path(settings.personas_folder, "two.yaml").write_text(f"id: two\nname: Two\nvoice: {voice}\n")


async def nothing_left(rooms: Any, server: VoiceServer, sha256: str | None = None) -> None:
    assert await rooms.voices.list() == [] and server.voices == {}
    assert all(consent.revoked_at for consent in await rooms.consents.list())
    if sha256 is not None:
        assert not await rooms.voices.blobs.exists(sha256)
