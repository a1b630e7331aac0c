"""Moves the speaker of a scene by its words and by what it says beside them: mood, marks, overlays."""

from __future__ import annotations

from collections.abc import Sequence

from avatar.compose.anchors import span_ms
from avatar.compose.camera import stage_scene
from avatar.compose.fonts import Fonts
from avatar.compose.free_places import faces_of, free_place
from avatar.compose.graphics import area_of
from avatar.spec import (
    ArrowOverlay,
    Canvas,
    ListOverlay,
    LowerThirdOverlay,
    Overlay,
    RenderSpec,
    Scene,
    TitleOverlay,
)
from avatar.speech.markup import parse_script
from avatar.timing import Acting, ActingMark, OverlaySide, control_track, motion_style
from avatar.tracks import ControlTrack, SpeechTrack, Word

ASIDE = 0.12
"""Overlays whose middle lies that near to the speaker's, in widths of the picture, are not pointed at."""
EARLIEST_MS = 1000
"""Nobody points at what is there from the beginning."""


def motion_of(spec: RenderSpec, scene: Scene, speech: SpeechTrack) -> ControlTrack:
    """The motion of the speaker of a scene of `spec`, as it is spoken."""
    acting = _acting_of(scene, spec.canvas, speech.words, speech.duration_ms)
    style = motion_style(scene.movement)
    return control_track(speech, float(spec.canvas.rate), spec.seed, style=style, acting=acting)


def _acting_of(scene: Scene, canvas: Canvas, words: Sequence[Word], duration_ms: int) -> Acting:
    """Returns what `scene` says beside its words. Overlays on words that are not there are left out here."""
    scene = stage_scene(scene, canvas)
    marks = tuple(ActingMark(*mark) for mark in parse_script(scene.script or "").acting)
    sides = []
    box = scene.layout.box
    middle = box.x + box.width / 2
    lists = any(isinstance(overlay, ListOverlay) for overlay in scene.overlays)
    faces = faces_of(scene, canvas) if lists else []
    for overlay in scene.overlays:
        if isinstance(overlay, ListOverlay) and faces:
            overlay = free_place(overlay, canvas, Fonts.of_this_machine(), faces, captions=False)
        at = _middle(overlay, canvas)
        place = 0.0 if at is None else at - middle
        if abs(place) <= ASIDE or not scene.speaker_visible:
            continue
        start, end = span_ms(overlay, words, duration_ms, scene.id)
        if start >= EARLIEST_MS and end > start:
            sides.append(OverlaySide(start / 1000, "left" if place < 0 else "right"))
    return Acting(scene.mood, marks, tuple(sides))


def _middle(overlay: Overlay, canvas: Canvas) -> float | None:
    """The middle of what an overlay shows, in widths of the picture; None where there is nothing to point
    at.
    """
    if isinstance(overlay, TitleOverlay | LowerThirdOverlay | ArrowOverlay):
        return None
    if isinstance(overlay, ListOverlay) and overlay.box is None:
        area = area_of(overlay, canvas)
        return (area.x + area.width / 2) / canvas.width
    return None if overlay.box is None else overlay.box.x + overlay.box.width / 2
