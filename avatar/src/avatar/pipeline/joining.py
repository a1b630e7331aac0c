"""Plans how finished segments become a film: transitions that fit, captions in film time; for assembly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from avatar.compose.cues import Cue, make_cues
from avatar.compose.layout import line_chars
from avatar.encode.joints import Fades, Reel, start_frames
from avatar.pipeline.segment import SegmentFiles
from avatar.spec import Notice, RenderSpec, Scene

SPEECH_GAP_MS = 80
"""So much stays between the last word of a scene and the first of the next, even over a transition."""
FAST_CPS = 20.0
"""Captions that must be read faster than this are reported: the voice leaves no time for them."""


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """Segments as reels, with what could not be done as was wished."""

    reels: tuple[Reel, ...]
    notices: tuple[Notice, ...]


def plan_film(spec: RenderSpec, segments: Sequence[SegmentFiles]) -> FilmPlan:
    """Transitions are shortened where a scene is too short, or where two voices would speak at once."""
    notices: list[Notice] = []
    overlaps = [0]
    pairs = zip(pairwise(segments), pairwise(spec.scenes), strict=True)
    for (before, after), (_, scene) in pairs:
        wished = 0
        if scene.transition.kind != "cut":
            wished = max(1, round(scene.transition.duration_ms * spec.canvas.rate / 1000))
        fitting = _fitting(spec, before, after)
        overlaps.append(max(0, min(wished, fitting)))
        if wished > overlaps[-1]:
            ms = round(overlaps[-1] * 1000 / spec.canvas.rate)
            message = (
                f"The {scene.transition.kind} to scene {scene.id} lasts {ms} ms in place of"
                f" {scene.transition.duration_ms}: the scenes leave no more time between their words."
            )
            notices.append(Notice(code="transition.shortened", message=message, scene=scene.id))
    reels = tuple(
        Reel(
            segment.video,
            segment.record.frames,
            overlap=overlaps[number + 1] if number + 1 < len(segments) else 0,
            transition=spec.scenes[number + 1].transition if number + 1 < len(segments) else scene.transition,
        )
        for number, (scene, segment) in enumerate(zip(spec.scenes, segments, strict=True))
    )
    return FilmPlan(reels, tuple(notices))


def fades_of(spec: RenderSpec, frames: int) -> Fades:
    first, last = (
        min(round(ms * spec.canvas.rate / 1000), frames // 2) for ms in (spec.fade_in_ms, spec.fade_out_ms)
    )
    return Fades(first, last)


def film_cues(spec: RenderSpec, segments: Sequence[SegmentFiles], reels: Sequence[Reel]) -> list[Cue]:
    """The captions of the whole film. A caption never reaches from one scene into the next."""
    cues: list[Cue] = []
    form, chars = spec.output.captions, line_chars(spec.output.captions, spec.canvas)
    starts = start_frames(reels)
    for number, (scene, segment) in enumerate(zip(spec.scenes, segments, strict=True)):
        last = starts[number + 1] if number + 1 < len(starts) else starts[number] + reels[number].frames
        # Frames are counted exactly, and milliseconds rounded once.
        start, end = (round(frame * 1000 / spec.canvas.rate) for frame in (starts[number], last))
        words = segment.record.words
        length = max(end - start, min(words[-1].end_ms if words else 0, segment.record.duration_ms))
        turns = segment.record.speaker_changes
        for cue in make_cues(words, length, chars, form.max_lines, scene.language, turns):
            begins = max(start + cue.start_ms, cues[-1].end_ms if cues else 0)
            if start + cue.end_ms > begins:
                cues.append(Cue(begins, start + cue.end_ms, cue.lines, cue.words))
    return cues


def too_fast(cues: Sequence[Cue]) -> tuple[Notice, ...]:
    """Warns of captions that nobody can read in time."""
    fast = [cue for cue in cues if cue.columns_per_second > FAST_CPS]
    if not fast:
        return ()
    worst = max(fast, key=lambda cue: cue.columns_per_second)
    message = (
        f"{len(fast)} of {len(cues)} captions are gone before most people have read them, the fastest with"
        f" {worst.columns_per_second:.0f} characters a second at {worst.start_ms / 1000:.1f} s."
        " A slower voice helps."
    )
    return (Notice(code="captions.fast", message=message),)


def main_language(scenes: Sequence[Scene]) -> str:
    """The language that most of the script is in."""
    shares: dict[str, int] = {}
    for scene in scenes:
        shares[scene.language] = shares.get(scene.language, 0) + len(scene.script or "")
    return max(shares, key=lambda language: shares[language])


def _fitting(spec: RenderSpec, before: SegmentFiles, after: SegmentFiles) -> int:
    """Frames of the longest transition between two segments."""
    rate = spec.canvas.rate
    frames = min(before.record.frames, after.record.frames) // 2
    quiet_ms = round(before.record.frames * 1000 / rate) - SPEECH_GAP_MS
    quiet_ms -= before.record.words[-1].end_ms if before.record.words else 0
    quiet_ms += after.record.words[0].start_ms if after.record.words else after.record.duration_ms
    return min(frames, int(quiet_ms * rate / 1000))
