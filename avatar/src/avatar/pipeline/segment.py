"""One scene to one segment: speech, timing, frames, encode; `avatar segment` and `avatar render` call it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatar.encode.atomic import atomic_files
from avatar.errors import InvalidInput
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.files import require_other_files
from avatar.pipeline.frames import draw_frames
from avatar.pipeline.record import SegmentRecord, read_record, to_spoken_words, voice_records
from avatar.pipeline.resuming import count_resumed_parts, report_resumed
from avatar.pipeline.scene_media import paths_of
from avatar.pipeline.scene_sound import write_scene_sound
from avatar.spec import Notice, RenderSpec, StageStarted
from avatar.tracks import ControlTrack

SEGMENT, SOUND, WORDS = "segment.mp4", "audio.wav", "words.json"


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """A finished segment in its folder."""

    folder: Path
    record: SegmentRecord

    @property
    def video(self) -> Path:
        return self.folder / SEGMENT

    @property
    def sound(self) -> Path:
        return self.folder / SOUND

    @property
    def words(self) -> Path:
        return self.folder / WORDS


def make_segment(spec: RenderSpec, scene_id: str, folder: Path, context: Context) -> SegmentFiles:
    """Make `segment.mp4`, `audio.wav` and `words.json` in `folder`; all three appear, or none.

    What was kept for a second run is forgotten then.
    """
    segment = draw_segment(spec, scene_id, folder, context)
    context.forget()
    return segment


def draw_segment(spec: RenderSpec, scene_id: str, folder: Path, context: Context) -> SegmentFiles:
    """As `make_segment`, for a step of a longer job: who has the result calls `context.forget`."""
    from avatar.pipeline.acting import motion_of
    from avatar.pipeline.cast import host_of
    from avatar.speech import speak

    scene = spec.scene(scene_id)
    require_consent(scene)
    require_other_files(folder, [folder / name for name in (SEGMENT, SOUND, WORDS)], paths_of([scene]))
    notices: list[Notice] = []

    def warn(notice: Notice) -> None:
        notices.append(notice)
        context.tell(notice)

    with atomic_files(folder, (SEGMENT, SOUND, WORDS)) as work:
        context.tell(StageStarted(stage="speech", scene=scene_id))
        speech = speak(scene, work, context.resolve)
        for note in speech.notes:
            warn(Notice(code=note.code, message=note.message, scene=scene_id))
        context.check()
        context.tell(StageStarted(stage="timing", scene=scene_id))
        track = motion_of(spec, *host_of(scene, speech, spec.canvas))
        context.check()
        before = count_resumed_parts(context)
        drawn = draw_frames(spec, scene, speech, track, work / SEGMENT, context, warn)
        report_resumed(context, count_resumed_parts(context) - before, scene_id)
        write_scene_sound(scene, spec.overlays, speech, work / SOUND, context, warn)
        record = SegmentRecord(
            scene=scene_id,
            scene_hash=spec.scene_hash(scene_id),
            fps=float(spec.canvas.rate),
            frames=drawn.frames,
            duration_ms=speech.duration_ms,
            words=to_spoken_words(speech.words),
            speaker_changes=speech.speaker_changes,
            phone_source=speech.phone_source,
            engines=(*voice_records(scene), *drawn.engines),
            engine_uses=drawn.uses,
            poster_ms=poster_ms(track),
            warnings=tuple(notices),
            lost_face_frames=drawn.lost_face_frames,
        )
        (work / WORDS).write_text(record.model_dump_json())
    return SegmentFiles(folder, record)


def open_segment(folder: Path) -> SegmentFiles:
    """A segment made earlier. Raises `InvalidInput` (`render.segment_missing`, `render.segment_broken`)."""
    segment = SegmentFiles(folder, read_record(folder / WORDS))
    for path in (segment.video, segment.sound):
        if not path.is_file() or path.stat().st_size == 0:
            raise InvalidInput(
                "render.segment_missing",
                f"{path.name} of segment {folder.name} is missing.",
                "Make the segment again.",
            )
    return segment


def poster_ms(track: ControlTrack) -> int:
    """A moment with open eyes, a calm mouth and the face to the front, in the first ten seconds."""
    end = min(track.frames, 10 * track.fps)
    opening = track.aperture_e()[:end]
    turned = (
        np.abs(track["yaw_deg"][:end]) + np.abs(track["pitch_deg"][:end]) + np.abs(track["roll_deg"][:end])
    )
    gaze = np.abs(track["gaze_x"][:end]) + np.abs(track["gaze_y"][:end])
    unease = 10 * track["blink"][:end] + 8 * np.abs(opening - 0.05) + 0.1 * turned + 0.2 * gaze
    late_enough = min(track.fps // 2, end - 1)  # overlays have faded in by then
    return round((late_enough + int(np.argmin(unease[late_enough:]))) * 1000 / track.fps)
