"""Gathers what a video was made from for its provenance record; pipeline.assemble calls it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from avatar import __version__
from avatar.encode.provenance import (
    EngineRecord,
    Input,
    Provenance,
    SceneRecord,
    VideoRecord,
    digital_source_type,
)
from avatar.pipeline.consent import consents
from avatar.pipeline.context import Context
from avatar.pipeline.scene_media import film_media, media_of
from avatar.pipeline.segment import SegmentFiles
from avatar.spans import trace_id_of
from avatar.spec import RenderSpec
from avatar.spec.base import sha256_of


def software() -> str:
    return f"Soundstage avatar {__version__}"


FILM = "film"
"""In place of a scene for what belongs to all of them."""
TRAINED = ("latentsync", "liveportrait")
"""Engines whose pictures come from networks that were trained on people."""


def source_type(
    spec: RenderSpec, segments: Sequence[SegmentFiles] = (), engines: Sequence[EngineRecord] = ()
) -> str:
    """The IPTC digital source type of the whole video, made of `segments`, or of a picture that `engines`
    drew.
    """
    drew = {engine.name for engine in engines}
    drew |= {engine.name for segment in segments for engine in segment.record.engines}
    voices = [voice.kind for scene in spec.scenes for voice in scene.voices]
    spoke = any(kind != "espeak" for kind in voices)
    return digital_source_type(
        real_footage=any(
            role != "audio" or scene.has_foreign_sound for scene in spec.scenes for role, _ in media_of(scene)
        ),
        trained_model=spoke or not drew.isdisjoint(TRAINED),
    )


def provenance_of(
    spec: RenderSpec, segments: Sequence[SegmentFiles], video: Path, context: Context, frames: int
) -> Provenance:
    """The record of a finished `video` of so many frames."""
    engines: dict[EngineRecord, None] = {}
    agreed = {}
    media = [(FILM, role, ref) for role, ref in film_media(spec)]
    for scene, segment in zip(spec.scenes, segments, strict=True):
        engines.update(dict.fromkeys(segment.record.engines))
        agreed.update({consent.id: consent for consent in consents(scene)})
        # Engines other than LivePortrait leave the driving of a photo out, with a notice.
        is_driven = any(engine.name == "liveportrait" for engine in segment.record.engines)
        media += [(scene.id, *one) for one in media_of(scene) if is_driven or one[0] != "driving"]
    return Provenance(
        digital_source_type=source_type(spec, segments),
        title=spec.title,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        software=software(),
        spec_hash=spec.content_hash(),
        video=VideoRecord(
            sha256=sha256_of(video),
            bytes=video.stat().st_size,
            duration_ms=round(frames * 1000 / spec.canvas.rate),
            frames=frames,
            canvas=spec.canvas,
        ),
        scenes=tuple(
            SceneRecord(
                id=scene.id,  # not the record's: a segment is kept by content and serves every scene like it
                scene_hash=segment.record.scene_hash,
                frames=segment.record.frames,
                phone_source=segment.record.phone_source,
            )
            for scene, segment in zip(spec.scenes, segments, strict=True)
        ),
        engines=tuple(engines),
        inputs=tuple(
            Input(scene=owner, role=role, sha256=ref.sha256 or sha256_of(context.resolve(ref)), name=ref.name)
            for owner, role, ref in media
        ),
        consents=tuple(agreed.values()),
        trace_id=trace_id_of(),
    )
