"""A machine that keeps nothing but copies: its database is PostgreSQL, and its files lie in a bucket."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import Canvas, ImageBackground, MediaRef

from app.composition import open_services, run_background_workers
from soundstage.settings import Settings, load_settings
from studio.assets.schemas import AssetLabels
from studio.renders.schemas import RenderRequest
from studio.renders.states import RenderState

PERSONAS = Path(__file__).parents[2] / "personas"


@pytest.fixture
def database_engine() -> str:
    return "postgresql"


@pytest.fixture
def machine(tmp_path: Path, database_url: str, s3: Any) -> Any:
    """Settings of a machine of this name; all share the database and the bucket, and nothing else."""
    bucket = s3.bucket()
    (tmp_path / "secret").write_text(bucket.secret_access_key)

    def named(name: str) -> Settings:
        return load_settings(
            None,
            {
                "SOUNDSTAGE_STATE_DIR": str(tmp_path / name / "state"),
                "SOUNDSTAGE_OUT_DIR": str(tmp_path / name / "out"),
                "SOUNDSTAGE_PERSONAS_DIR": str(PERSONAS),
                "SOUNDSTAGE_DATABASE__URL": database_url,
                "SOUNDSTAGE_BLOBS__URL": bucket.url,
                "SOUNDSTAGE_BLOBS__ENDPOINT_URL": bucket.endpoint_url,
                "SOUNDSTAGE_BLOBS__ACCESS_KEY_ID": bucket.access_key_id,
                "SOUNDSTAGE_BLOBS__SECRET_KEY_FILE": str(tmp_path / "secret"),
            },
        )

    return named


def picture() -> bytes:
    """A small PNG (ISO/IEC 15948): 32 rows of 32 orange pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\xff\x80\x00" * 32) * 32)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def test_a_video_is_made_of_what_another_machine_uploaded_and_read_by_a_third(machine: Any) -> None:
    async with open_services(machine("desk")) as desk:
        image = await desk.studio.assets.upload(chunks(picture()), AssetLabels(name="orange.png"))
        view = await desk.studio.renders.create(
            RenderRequest(
                script="Hi there.",
                canvas=Canvas(width=320, height=180),
                background=ImageBackground(image=MediaRef(sha256=image.sha256, media_type="image/png")),
            )
        )
        assert view.state is RenderState.QUEUED
    async with open_services(machine("maker")) as maker, run_background_workers(maker):
        done = await maker.studio.renders.wait(view.id)
    assert done.error is None and done.state is RenderState.DONE
    async with open_services(machine("phone")) as phone:
        output, path = await phone.studio.renders.open_output(view.id, "video")
        assert path.is_relative_to(phone.blobs.root)
        assert path.read_bytes()[4:8] == b"ftyp" and path.stat().st_size == output.bytes
        told = await phone.events.read(f"render:{view.id}")
        assert told[0].kind == "render.created"
        assert any(event.kind == "render.state" and event.data["state"] == "done" for event in told)
