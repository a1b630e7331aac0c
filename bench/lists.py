"""Bytes of the list of 60 finished videos, plain and compressed, and of a thumbnail of a poster; as JSON.

PYTHONPATH=. .venv/bin/python -P bench/lists.py
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import brotli
from avatar.spec import EngineUse
from PIL import Image, ImageFilter
from sqlalchemy import insert

import studio.models  # noqa: F401 - the tables
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.paging import PageRequest
from studio.references.repository import References
from studio.renders.listing import RenderFilter, RenderList
from studio.renders.models import Render, RenderOutput
from studio.renders.repository import Renders
from studio.renders.schemas import Progress
from studio.renders.views import view_of
from studio.thumbnails.service import Thumbnails, ThumbnailWidth

ROLES = {"video": "video/mp4", "vtt": "text/vtt", "srt": "application/x-subrip", "poster": "image/png",
         "provenance": "application/json"}  # fmt: skip


async def fill(db: Database, count: int) -> None:
    engines = [EngineUse(scene=f"scene-{number}", engine="rig", asked="auto") for number in range(5)]
    progress = Progress(stage="done", frames_done=900, frames_total=900, engines=engines).model_dump(
        mode="json"
    )
    ids = [new_id("rnd") for _ in range(count)]
    same = {
        "tenant": "default",
        "kind": "video",
        "state": "done",
        "spec": {},
        "spec_hash": "sha256:" + "5" * 64,
    }
    same |= {"personas": ["nova"], "progress": progress, "duration_ms": 36_000}
    renders = [
        {**same, "id": one, "title": f"The tides, part {number}", "out_files": [f"the-tides-{number}.mp4"]}
        for number, one in enumerate(ids)
    ]
    outputs = [
        {"render_id": one, "role": role, "tenant": "default", "name": f"the-tides-{one[-4:]}.{role}",
         "sha256": "sha256:" + one[-26:] * 2 + "0" * 12, "bytes": 9_000_000, "media_type": media_type}
        for one in ids for role, media_type in ROLES.items()
    ]  # fmt: skip
    async with db.transaction() as session:
        for start in range(0, count, 1000):
            await session.execute(insert(Render), renders[start : start + 1000])
        for start in range(0, len(outputs), 1000):
            await session.execute(insert(RenderOutput), outputs[start : start + 1000])


def as_json(rows: list[Any]) -> bytes:
    return json.dumps([row.model_dump(mode="json") for row in rows], separators=(",", ":")).encode()


async def measure(folder: Path) -> dict[str, Any]:
    db = Database(f"sqlite:///{folder / 'bench.db'}")
    await db.create_tables()
    await fill(db, 10_000)
    found: dict[str, Any] = {}
    async with db.session() as session:
        renders = Renders(session)
        rows = await renders.list(None, None, None, 60)
        outputs = await renders.outputs([row.id for row in rows])
        whole = as_json([view_of(row, [one for one in outputs if one.render_id == row.id]) for row in rows])
    lists = RenderList(db)
    page = await lists.find_page(RenderFilter(), PageRequest(60))
    short = as_json(page.items)
    found["list_of_60_bytes"] = {
        "before": len(whole),
        "now": len(short),
        "gzip": len(gzip.compress(short, 5)),
        "brotli": len(brotli.compress(short, quality=4)),
    }
    for sort in ("-created", "title"):
        begun = time.perf_counter()
        for _ in range(5):
            await lists.find_page(RenderFilter(sort=sort), PageRequest(60))  # type: ignore[arg-type]
        found[f"page_of_10000_by_{sort.strip('-')}_ms"] = round((time.perf_counter() - begun) * 200, 1)

    picture = Image.effect_noise((1920, 1080), 60).convert("RGB").filter(ImageFilter.GaussianBlur(3))
    written = io.BytesIO()
    picture.save(written, "PNG")
    blobs = BlobStore.open(str(folder / "blobs"))
    poster = await blobs.put_bytes(written.getvalue(), "image/png")
    async with db.transaction() as session:
        await References(session).hold("render:bench", "output:poster", poster.sha256, poster.bytes)
    found["poster_bytes"] = poster.bytes
    for width in ThumbnailWidth:
        begun = time.perf_counter()
        _, path = await Thumbnails(db, blobs).open("render:bench", poster.sha256, width)
        found[f"thumbnail_{int(width)}"] = {
            "bytes": path.stat().st_size,
            "ms": round((time.perf_counter() - begun) * 1000),
        }
    await db.close()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(measure(Path(folder))), indent=1))


if __name__ == "__main__":
    main()
