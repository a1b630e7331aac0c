"""The words of a finished video have their times in it, over cuts and transitions, or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from avatar.spec import Canvas, RenderSpec
from sqlalchemy import select

from soundstage.database import Database
from studio.renders.models import Render, Segment
from studio.renders.schemas import RenderRequest
from studio.renders.transcript import Transcript, read_transcript
from studio.wiring import Studio

SMALL = Canvas(width=320, height=180, fps=25)
FRAMES = 50
"""Of each scene: two seconds."""


async def film_of(rooms: Studio, *transitions: dict[str, Any]) -> str:
    """Returns a finished film of a scene for each transition, and one before."""
    scenes = [{"id": "a", "script": "Good morning."}]
    scenes += [
        {"id": f"b{number}", "script": f"Number {number}.", "transition": one}
        for number, one in enumerate(transitions)
    ]
    spec = RenderSpec.model_validate({"canvas": SMALL.model_dump(), "scenes": scenes})
    created = await rooms.renders.create(RenderRequest(spec=spec))
    return (await rooms.renders.wait(created.id)).id


async def store_words(
    db: Database, rooms: Studio, video: str, duration_ms: int, words: tuple[tuple[str, int, int], ...]
) -> None:
    """Stores the same words for each segment, as a worker does."""
    spoken = [
        {"text": text, "start_ms": start, "end_ms": end, "emphasis": False} for text, start, end in words
    ]
    record = {"scene": "x", "frames": FRAMES, "duration_ms": 2000, "words": spoken}
    blob = await rooms.renders.blobs.put_bytes(json.dumps(record).encode(), "application/json")
    async with db.transaction() as session:
        for segment in (await session.scalars(select(Segment))).all():
            assert segment.result is not None
            files = [
                {**file, "sha256": blob.sha256} if file["role"] == "words" else file
                for file in segment.result["files"]
            ]
            segment.result = {**segment.result, "files": files}
        row = await session.get(Render, video)
        assert row is not None
        row.duration_ms = duration_ms


def times(transcript: Transcript) -> list[tuple[str, list[int]]]:
    return [(scene.id, [word.start_ms for word in scene.words]) for scene in transcript.scenes]


WORDS = (("Good", 200, 500), ("morning.", 600, 1100))


async def test_words_have_their_times_in_the_film(client: Any, rooms: Studio, db: Database) -> None:
    video = await film_of(rooms, {"kind": "cut"})
    await store_words(db, rooms, video, 4000, WORDS)
    answer = (await client.get(f"/api/renders/{video}/transcript")).json()
    assert [(one["id"], one["start_ms"]) for one in answer["scenes"]] == [("a", 0), ("b0", 2000)]
    assert answer["scenes"][1]["words"] == [
        {"text": "Good", "start_ms": 2200, "end_ms": 2500},
        {"text": "morning.", "start_ms": 2600, "end_ms": 3100},
    ]


async def test_scenes_that_dissolve_overlap(rooms: Studio, db: Database) -> None:
    video = await film_of(rooms, {"kind": "dissolve", "duration_ms": 400})
    await store_words(db, rooms, video, 3600, WORDS)
    found = await read_transcript(db, rooms.renders.blobs, video)
    assert times(found) == [("a", [200, 600]), ("b0", [1800, 2200])]


async def test_a_transition_leaves_the_words_apart(rooms: Studio, db: Database) -> None:
    video = await film_of(rooms, {"kind": "dissolve", "duration_ms": 1000})
    # 1900 of 2000 ms are spoken: 100 - 80 + 200 ms are left, five frames.
    await store_words(db, rooms, video, 3800, (("Good", 200, 500), ("morning.", 600, 1900)))
    found = await read_transcript(db, rooms.renders.blobs, video)
    assert times(found) == [("a", [200, 600]), ("b0", [2000, 2400])]


@pytest.mark.parametrize("duration_ms", [3700, 4200])
async def test_a_film_that_was_joined_otherwise_has_no_times(
    rooms: Studio, db: Database, duration_ms: int
) -> None:
    video = await film_of(rooms, {"kind": "cut"})
    await store_words(db, rooms, video, duration_ms, WORDS)
    assert (await read_transcript(db, rooms.renders.blobs, video)).scenes == []


async def test_words_of_evicted_segments_have_no_times(client: Any, rooms: Studio, db: Database) -> None:
    video = await film_of(rooms, {"kind": "cut"})
    # The stand-in writes no words.
    assert (await client.get(f"/api/renders/{video}/transcript")).json() == {"scenes": []}
    await store_words(db, rooms, video, 4000, WORDS)
    async with db.transaction() as session:
        await session.delete((await session.scalars(select(Segment))).first())
    assert (await client.get(f"/api/renders/{video}/transcript")).json() == {"scenes": []}
    missing = await client.get("/api/renders/rnd_none/transcript")
    assert (missing.status_code, missing.json()["code"]) == (404, "render.not_found")
