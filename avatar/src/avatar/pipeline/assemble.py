"""Segments to the finished video and the files beside it; `avatar assemble` and `render` call it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avatar.encode.assembly import Film, join
from avatar.encode.atomic import atomic_files
from avatar.encode.joints import Reel, film_frames, start_frames
from avatar.encode.poster import frame_at, write_png
from avatar.encode.provenance import container_metadata, picture_metadata
from avatar.encode.subtitles import to_srt, to_vtt
from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.pipeline.files import Companions, describe, require_outputs
from avatar.pipeline.joining import fades_of, film_cues, main_language, plan_film, too_fast
from avatar.pipeline.origin import provenance_of, software, source_type
from avatar.pipeline.scene_media import paths_of
from avatar.pipeline.segment import SegmentFiles, open_segment
from avatar.spec import Finished, RenderSpec, StageStarted
from avatar.tracks import Range, nearest_joined


def assemble_folder(spec: RenderSpec, target: Path, folder: Path, context: Context) -> Finished:
    """Assemble segments made earlier: `folder` holds one folder per scene id.

    Raises `InvalidInput` (`render.segment_missing`, `render.segment_outdated`) before anything is written.
    """
    require_outputs(target, spec.output, paths_of(spec.scenes, spec))
    segments = [open_segment(folder / scene.id) for scene in spec.scenes]
    for scene, segment in zip(spec.scenes, segments, strict=True):
        if segment.record.scene_hash != spec.scene_hash(scene.id):
            raise InvalidInput(
                "render.segment_outdated",
                f"The segment of scene {scene.id} was made from another version of the scene.",
                "Make this segment again from the present spec.",
            )
    return assemble_video(spec, segments, target, context)


def assemble_video(
    spec: RenderSpec, segments: Sequence[SegmentFiles], target: Path, context: Context
) -> Finished:
    """Write `target` and its companions; all of them appear, or none."""
    names = Companions.of(target)
    files = names.files_for(spec.output)
    plan = plan_film(spec, segments)
    frames = film_frames(plan.reels)
    cues = film_cues(spec, segments, plan.reels) if spec.output.captions.soft else None
    source = source_type(spec, segments)
    with atomic_files(target.parent, [name for _, name in reversed(files)]) as work:
        context.tell(StageStarted(stage="assemble", total_frames=frames))
        film = Film(
            reels=plan.reels,
            sounds=[segment.sound for segment in segments],
            canvas=spec.canvas,
            video=spec.output.video,
            audio=spec.output.audio,
            metadata=container_metadata(spec.title, source, software()),
            language=main_language(spec.scenes),
            cues=cues,
            fades=fades_of(spec, frames),
            music=None if spec.music is None else (spec.music, context.resolve(spec.music.audio)),
        )
        join(work / names.video, film, work, context.check)
        context.tell(StageStarted(stage="captions"))
        if cues is not None:
            (work / names.vtt).write_text(to_vtt(cues), encoding="utf-8")
            (work / names.srt).write_text(to_srt(cues), encoding="utf-8")
        if spec.output.poster:
            poster = frame_at(work / names.video, _poster_ms(spec, segments, plan.reels))
            write_png(work / names.poster, poster, picture_metadata(spec.title, source, software()))
        record = provenance_of(spec, segments, work / names.video, context, frames)
        (work / names.provenance).write_text(record.model_dump_json(indent=2), encoding="utf-8")
    notices = [*plan.notices, *too_fast(cues or ())]
    for notice in notices:
        context.tell(notice)
    return Finished(
        files=tuple(describe(role, target.parent / name) for role, name in files),
        duration_ms=round(frames * 1000 / spec.canvas.rate),
        frames=frames,
        warnings=(*(notice for segment in segments for notice in segment.record.warnings), *notices),
        lost_face_frames=_lost_in_video(segments, plan.reels),
        engines=tuple(
            use.model_copy(update={"scene": scene.id})
            for scene, segment in zip(spec.scenes, segments, strict=True)
            for use in segment.record.engine_uses
        ),
    )


def _poster_ms(spec: RenderSpec, segments: Sequence[SegmentFiles], reels: Sequence[Reel]) -> int:
    """The moment of the first scene in which somebody is seen."""
    seen = [number for number, scene in enumerate(spec.scenes) if scene.faces]
    number = seen[0] if seen else 0
    return round(start_frames(reels)[number] * 1000 / spec.canvas.rate) + segments[number].record.poster_ms


def _lost_in_video(segments: Sequence[SegmentFiles], reels: Sequence[Reel]) -> tuple[Range, ...]:
    lost: list[Range] = []
    for first, segment in zip(start_frames(reels), segments, strict=True):
        for begin, end in segment.record.lost_face_frames:
            after = lost[-1][1] + 1 if lost else 0  # in a transition both scenes are seen
            if first + end >= after:
                lost.append((max(first + begin, after), first + end))
    return tuple(nearest_joined(lost))
