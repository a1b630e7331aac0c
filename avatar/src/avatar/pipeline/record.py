"""`words.json`: what a finished segment tells the assembler about its words, length and making."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from avatar.encode.provenance import EngineRecord
from avatar.errors import InvalidInput
from avatar.spec import EngineUse, Notice, SpecModel
from avatar.tracks import Word


class SpokenWord(SpecModel):
    text: str
    start_ms: int
    end_ms: int
    emphasis: bool = False


class SegmentRecord(SpecModel):
    """Times are milliseconds from the start of the scene."""

    scene: str
    scene_hash: str
    fps: int
    frames: int
    duration_ms: int
    poster_ms: int
    words: tuple[SpokenWord, ...]
    phone_source: str
    engines: tuple[EngineRecord, ...]
    engine_use: EngineUse | None = None
    warnings: tuple[Notice, ...] = ()
    lost_face_frames: tuple[tuple[int, int], ...] = ()


def spoken(words: tuple[Word, ...]) -> tuple[SpokenWord, ...]:
    return tuple(
        SpokenWord(text=w.text, start_ms=w.start_ms, end_ms=w.end_ms, emphasis=w.emphasis) for w in words
    )


def read_record(path: Path) -> SegmentRecord:
    """Raises `InvalidInput` (`render.segment_missing`, `render.segment_broken`)."""
    try:
        return SegmentRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InvalidInput(
            "render.segment_missing",
            f"The segment {path.parent.name} has not been made.",
            "Run `avatar segment` first.",
        ) from error
    except ValidationError as error:
        raise InvalidInput(
            "render.segment_broken",
            f"{path.name} of segment {path.parent.name} cannot be read.",
            "Make the segment again with this version of the worker.",
        ) from error
