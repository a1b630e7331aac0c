"""Segments to the finished video and the files beside it; `avatar assemble` and `render` call it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avatar.compose.cues import Cue, make_cues
from avatar.encode.assembly import join, to_srt, to_vtt
from avatar.encode.atomic import atomic_files
from avatar.encode.poster import frame_at, write_png
from avatar.encode.provenance import container_metadata, picture_metadata
from avatar.encode.sound import SceneSound
from avatar.errors import InvalidInput
from avatar.pipeline.context import Context
from avatar.pipeline.files import Companions, describe, require_outputs
from avatar.pipeline.origin import provenance_of, software, source_type
from avatar.pipeline.scene_media import paths_of
from avatar.pipeline.segment import SegmentFiles, open_segment
from avatar.spec import Finished, RenderSpec, StageStarted
from avatar.tracks import Range, nearest_joined


def assemble_folder(spec: RenderSpec, target: Path, folder: Path, context: Context) -> Finished:
    """Assemble segments made earlier: `folder` holds one folder per scene id.

    Raises `InvalidInput` (`render.segment_missing`, `render.segment_outdated`) before anything is written.
    """
    require_outputs(target, spec.output, paths_of(spec.scenes))
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
    frames = sum(segment.record.frames for segment in segments)
    with atomic_files(target.parent, [name for _, name in reversed(files)]) as work:
        context.tell(StageStarted(stage="assemble", total_frames=frames))
        join(
            work / names.video,
            [segment.video for segment in segments],
            [SceneSound(segment.sound, segment.record.frames) for segment in segments],
            fps=spec.canvas.fps,
            codec=spec.output.audio,
            metadata=container_metadata(spec.title, source_type(spec, segments), software()),
            check=context.check,
        )
        context.tell(StageStarted(stage="captions"))
        if spec.output.captions.soft:
            cues = video_cues(spec, segments)
            (work / names.vtt).write_text(to_vtt(cues), encoding="utf-8")
            (work / names.srt).write_text(to_srt(cues), encoding="utf-8")
        if spec.output.poster:
            poster = frame_at(work / names.video, segments[0].record.poster_ms)
            write_png(
                work / names.poster,
                poster,
                picture_metadata(spec.title, source_type(spec, segments), software()),
            )
        record = provenance_of(spec, segments, work / names.video, context)
        (work / names.provenance).write_text(record.model_dump_json(indent=2), encoding="utf-8")
    return Finished(
        files=tuple(describe(role, target.parent / name) for role, name in files),
        duration_ms=round(frames * 1000 / spec.canvas.fps),
        frames=frames,
        warnings=tuple(notice for segment in segments for notice in segment.record.warnings),
        lost_face_frames=_lost_in_video(segments),
        engines=tuple(
            use.model_copy(update={"scene": scene.id})
            for scene, segment in zip(spec.scenes, segments, strict=True)
            if (use := segment.record.engine_use) is not None
        ),
    )


def video_cues(spec: RenderSpec, segments: Sequence[SegmentFiles]) -> list[Cue]:
    """The captions of the whole video. A caption never reaches from one scene into the next."""
    cues: list[Cue] = []
    first_frame = 0
    form = spec.output.captions
    for scene, segment in zip(spec.scenes, segments, strict=True):
        start, end = (
            round(f * 1000 / spec.canvas.fps) for f in (first_frame, first_frame + segment.record.frames)
        )
        words = segment.record.words
        for cue in make_cues(words, end - start, form.max_chars_per_line, form.max_lines, scene.language):
            cues.append(Cue(start + cue.start_ms, start + cue.end_ms, cue.lines))
        first_frame += segment.record.frames
    return cues


def _lost_in_video(segments: Sequence[SegmentFiles]) -> tuple[Range, ...]:
    lost: list[Range] = []
    first_frame = 0
    for segment in segments:
        lost += [(first_frame + begin, first_frame + end) for begin, end in segment.record.lost_face_frames]
        first_frame += segment.record.frames
    return tuple(nearest_joined(lost))
