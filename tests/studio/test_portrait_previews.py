"""A photo speaks before a persona is created from it, and nothing of it is stored."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from soundstage.errors import SoundstageError
from studio.assets.schemas import AssetLabels
from studio.personas.schemas import PortraitPreviewDraft
from studio.wiring import Studio

ENVIRONMENT = Path(__file__).parents[2] / "avatar" / ".venv"
WORKER = ENVIRONMENT / "bin" / "avatar"
PHOTO = next(ENVIRONMENT.glob("lib/*/site-packages/skimage/data/astronaut.png"), Path("astronaut.png"))
NO_FACE = PHOTO.with_name("brick.png")
CONSENT = {"person": "Eileen C.", "purpose": "course videos", "granted_at": "2026-01-05"}

pytestmark = pytest.mark.skipif(
    not PHOTO.exists(), reason="the worker's environment has no photo: scripts/setup test"
)


async def upload(studio: Studio, content: bytes) -> str:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    return str((await studio.assets.upload(chunks(), AssetLabels(name="photo"))).id)


def request(media: str, change: dict[str, Any] | None = None) -> PortraitPreviewDraft:
    return PortraitPreviewDraft.model_validate({"media": media, "consent": CONSENT, **(change or {})})


async def draw(studio: Studio, draft: PortraitPreviewDraft) -> bytes:
    """Asks again while it is being made, as the page does: a request waits 20 s at most."""
    for _ in range(9):
        try:
            return await studio.portrait_previews.draw(draft)
        except SoundstageError as error:
            if error.code != "rendition.not_ready":
                raise
    return await studio.portrait_previews.draw(draft)


def streams(clip: bytes, folder: Path) -> dict[str, str]:
    """Returns width and length of the streams of an MP4, by kind."""
    (path := folder / "clip.mp4").write_bytes(clip)
    fields = "stream=codec_type,width,duration"
    command = ["ffprobe", "-v", "error", "-show_entries", fields, "-of", "csv=p=0", str(path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {line.split(",")[0]: line for line in printed.splitlines()}


async def test_a_photo_speaks_and_neither_the_clip_nor_a_consent_is_stored(
    drawing: Any, blobs: Any, tmp_path: Path
) -> None:
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    studio = drawing(str(WORKER))
    photo = await upload(studio, PHOTO.read_bytes())
    before = {one.sha256 async for one in blobs.iterate()}
    draft = request(photo, {"text": "Hello.", "voice": {"kind": "espeak"}, "style": {"mood": "warm"}})
    clip = await draw(studio, draft)
    found = streams(clip, tmp_path)
    assert set(found) == {"video", "audio"} and ",640," in found["video"]
    assert float(found["video"].split(",")[2]) > 0.9
    assert {one.sha256 async for one in blobs.iterate()} == before
    assert await studio.consents.list() == [] and [one.id for one in studio.library.list()] == ["nova"]
    # The same wish again is answered from memory; other words are not.
    assert await draw(studio, draft) == clip


async def test_a_preview_needs_what_the_persona_would_need(drawing: Any) -> None:
    studio = drawing(str(WORKER))
    photo = await upload(studio, b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(2000))
    service = {"kind": "openai", "base_url": "http://elsewhere.example", "api_key_env": "KEY"}
    cloned = {**service, "cloned": True}
    for change, code in (
        ({"consent": None}, "consent.required"),
        ({"consent": {**CONSENT, "granted_at": "2999-01-01"}}, "consent.in_future"),
        ({"media": "ast_none"}, "asset.not_found"),
        ({"voice": service}, "voice.service_not_allowed"),
        ({"voice": cloned}, "voice.service_not_allowed"),
    ):
        with pytest.raises(SoundstageError) as caught:
            await draw(studio, request(photo, change))
        assert caught.value.code == code


async def test_a_photo_without_a_face_is_refused_in_the_workers_words(drawing: Any) -> None:
    studio = drawing(str(WORKER))
    photo = await upload(studio, NO_FACE.read_bytes())
    with pytest.raises(SoundstageError) as caught:
        await draw(studio, request(photo))
    assert caught.value.code == "face.not_found"
