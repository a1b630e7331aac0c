"""The spoken words of a finished video with their times in it, from what its segments hold; for a route."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from avatar.spec import Finished, RenderSpec
from avatar.spec.speech_sheet import TimedWord
from pydantic import BaseModel, Field, ValidationError

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import NotFound
from studio.renders.making import spec_of
from studio.renders.models import Segment
from studio.renders.repository import Segments
from studio.renders.service import render_of

SPEECH_GAP_MS = 80
"""As in avatar/pipeline/joining.py: so much stays between the words of two scenes over a transition."""


class TranscriptScene(BaseModel):
    """Times are milliseconds from the start of the video."""

    id: str
    start_ms: int
    words: list[TimedWord]


class Transcript(BaseModel):
    scenes: list[TranscriptScene] = Field(
        description="empty where the times of words are not stored (any more); captions have those of lines"
    )


class _SpokenWord(BaseModel):
    text: str
    start_ms: int
    end_ms: int


class _SceneRecord(BaseModel):
    """The part that is read of what a worker writes beside a segment (avatar/pipeline/record.py)."""

    frames: int
    duration_ms: int
    words: tuple[_SpokenWord, ...]


async def read_transcript(db: Database, blobs: BlobStore, ref: str) -> Transcript:
    """Raises `render.not_found`."""
    async with db.session() as session:
        row = await render_of(session, ref)
        spec, duration_ms = spec_of(row), row.duration_ms
        links = await Segments(session).of_render(row.id)
    nothing = Transcript(scenes=[])
    if not isinstance(spec, RenderSpec) or duration_ms is None or len(links) != len(spec.scenes):
        return nothing
    records = [record for _, one in links if (record := await _record_of(blobs, one)) is not None]
    if len(records) < len(links):
        return nothing
    starts, frames = _start_frames(spec, records)
    rate = spec.canvas.rate
    # The worker has planned the joints: where this is not what it did, no times are better than wrong ones.
    if abs(frames * 1000 / rate - duration_ms) > 1000 / rate:
        return nothing
    scenes = [
        _scene(scene.id, round(start * 1000 / rate), record)
        for scene, start, record in zip(spec.scenes, starts, records, strict=True)
    ]
    return Transcript(scenes=scenes)


async def _record_of(blobs: BlobStore, segment: Segment | None) -> _SceneRecord | None:
    """None where the segment was evicted from the cache, or is of another worker."""
    if segment is None or segment.result is None:
        return None
    for file in Finished.model_validate(segment.result).files:
        if file.role == "words":
            with suppress(NotFound, OSError, ValidationError):
                path = await blobs.local_path(file.sha256)
                return _SceneRecord.model_validate_json(await asyncio.to_thread(path.read_bytes))
    return None


def _start_frames(spec: RenderSpec, records: Sequence[_SceneRecord]) -> tuple[list[int], int]:
    """Returns the frame that each scene begins with, and the number of all, as the worker joins scenes: a
    transition plays the end of one and the beginning of the next at once.
    """
    rate = spec.canvas.rate
    starts, at = [0], 0
    for (before, after), scene in zip(pairwise(records), spec.scenes[1:], strict=True):
        overlap = 0
        if scene.transition.kind != "cut":
            overlap = max(1, round(scene.transition.duration_ms * rate / 1000))
        quiet_ms = round(before.frames * 1000 / rate) - SPEECH_GAP_MS
        quiet_ms -= before.words[-1].end_ms if before.words else 0
        quiet_ms += after.words[0].start_ms if after.words else after.duration_ms
        fitting = min(min(before.frames, after.frames) // 2, int(quiet_ms * rate / 1000))
        at += before.frames - max(0, min(overlap, fitting))
        starts.append(at)
    return starts, at + records[-1].frames


def _scene(scene_id: str, start_ms: int, record: _SceneRecord) -> TranscriptScene:
    words = [
        TimedWord(text=word.text, start_ms=start_ms + word.start_ms, end_ms=start_ms + word.end_ms)
        for word in record.words
    ]
    return TranscriptScene(id=scene_id, start_ms=start_ms, words=words)
