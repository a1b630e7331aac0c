"""The speakers of a scene that has several, or one that moves: faces, tracks and places; the scene renderer
draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from avatar.compose.background import blur_source
from avatar.compose.blend import Sprite
from avatar.compose.colour import Pixels
from avatar.compose.layout import Rect
from avatar.compose.seats import BoxPath, box_path, room_for_arms, share_canvas, speaker_sprite
from avatar.encode.provenance import EngineRecord
from avatar.engines.base import EngineReport, Reach
from avatar.pipeline.acting import motion_of
from avatar.pipeline.context import Context
from avatar.pipeline.face_engine import FaceOpened, engine_box, open_face
from avatar.pipeline.mouth_check import MouthCheck
from avatar.pipeline.own_background import source_background
from avatar.pipeline.record import engine_records
from avatar.spec import AvatarLayout, Canvas, Notice, RenderSpec, RigFace, Scene, SourceBackground
from avatar.speech.turns import script_of, track_of
from avatar.timing import frames_of
from avatar.tracks import ControlTrack, SpeechTrack


def is_cast(scene: Scene) -> bool:
    """Returns whether the speakers of a staged scene are drawn as a cast: several, or one that moves."""
    return bool(scene.speakers or scene.layout.moves) and any(one.layout.visible for one in scene.cast)


def is_cut_out(scene: Scene) -> bool:
    """Returns whether the speaker is cut out. In a rounded box or a circle their own background stays."""
    background = scene.background
    if isinstance(background, SourceBackground):
        return background.blur > 0
    return scene.layout.shape == "rectangle"


def seat_of(scene: Scene, path: BoxPath, canvas: Canvas) -> tuple[BoxPath, Reach | None]:
    """Returns where the speaker of a solo scene is drawn, and the room of a drawn character in it."""
    is_free = is_cut_out(scene) and scene.layout.shape == "rectangle"
    return room_for_arms(path, canvas) if is_free and isinstance(scene.face, RigFace) else (path, None)


def solo_scenes(scene: Scene, speech: SpeechTrack, canvas: Canvas) -> Iterator[tuple[Scene, SpeechTrack]]:
    """Yields each speaker of a scene as the only one of it, with what they say and where they are."""
    layouts = share_canvas(scene.cast, canvas)
    for speaker, layout in zip(scene.cast, layouts, strict=True):
        if not scene.speakers and not scene.off_camera:
            yield scene, speech
            return
        folder = speech.wav.parent / f"speaker-{speaker.name}"
        folder.mkdir(exist_ok=True)
        if scene.off_camera:
            yield scene.model_copy(update={"script": None}), track_of(speech, "", folder / "speech.wav")
            return
        placed = speaker.model_copy(update={"layout": layout})
        solo = scene.of_speaker(placed, script_of(scene, speaker))
        yield solo, track_of(speech, speaker.name, folder / "speech.wav")


@dataclass(slots=True)
class Seat:
    """A visible speaker. base: what their layers lie on, None for nothing; `blur` is that of the ground of
    their own picture.
    """

    layout: AvatarLayout
    face: FaceOpened
    path: BoxPath
    track: ControlTrack
    base: Pixels | None
    blur: float
    mouth: MouthCheck

    def sprite(self, index: int, item: Any) -> Sprite:
        """Returns the speaker in a frame; several threads call it at once."""
        engine = self.face.engine
        layer = engine.draw(item)
        self.mouth.see(index, layer, engine.base)
        base = self.base
        if self.blur > 0 and engine.info.whole_picture:
            whole = np.ascontiguousarray(layer.pixels[..., :3])
            base = blur_source(whole, layer.pixels[..., 3], self.blur)
        return speaker_sprite(base, layer, self.path.at(index), engine.size, self.layout)


@dataclass(frozen=True, slots=True)
class Cast:
    """The opened speakers of a scene, the lowest first."""

    seats: tuple[Seat, ...]

    @property
    def faces(self) -> tuple[FaceOpened, ...]:
        return tuple(seat.face for seat in self.seats)

    def items(self) -> Iterator[tuple[Any, ...]]:
        """Yields what each engine draws a frame from, frame by frame."""
        return zip(*(seat.face.engine.items(seat.track) for seat in self.seats), strict=True)

    def sprites(self, index: int, items: tuple[Any, ...]) -> tuple[Sprite, ...]:
        return tuple(seat.sprite(index, item) for seat, item in zip(self.seats, items, strict=True))

    def report(self) -> EngineReport:
        """Joins the reports of all engines."""
        reports = [seat.face.engine.report() for seat in self.seats]
        facts: dict[str, Any] = {}
        for one in reports:
            facts |= one.facts
        return EngineReport(
            notices=list(chain.from_iterable(one.notices for one in reports)),
            trackers=list(chain.from_iterable(one.trackers for one in reports)),
            lost_face_frames=sorted(chain.from_iterable(one.lost_face_frames for one in reports)),
            facts=facts,
        )

    def engines(self) -> tuple[EngineRecord, ...]:
        parts = chain.from_iterable(
            seat.face.engine.info.parts or (seat.face.engine.info,) for seat in self.seats
        )
        return engine_records(dict.fromkeys(parts), self.report().trackers)

    def verdicts(self) -> Iterator[Notice]:
        """Yields what is wrong with mouths. Raises InvalidInput `face.mouth_still`."""
        for seat in self.seats:
            if (notice := seat.mouth.verdict()) is not None:
                yield notice

    def close(self) -> None:
        with ExitStack() as stack:
            for seat in self.seats:
                stack.callback(seat.face.engine.close)


def open_cast(
    spec: RenderSpec,
    scene: Scene,
    speech: SpeechTrack,
    canvas: Canvas,
    context: Context,
    warn: Callable[[Notice], None],
    *,
    low: bool = False,
) -> Cast:
    """Opens the engines of all visible speakers of a staged scene, or none."""
    frames = frames_of(speech.duration_ms, float(canvas.rate))
    seats: list[Seat] = []
    with ExitStack() as opened:
        for number, (solo, own_speech) in enumerate(solo_scenes(scene, speech, canvas)):
            if not solo.layout.visible:
                continue
            path = box_path(solo.layout, speech.words, frames, canvas, scene.id, warn)
            blur = solo.background.blur if isinstance(solo.background, SourceBackground) else 0.0
            path, reach = seat_of(solo, path, canvas)
            box = engine_box(solo, Rect(0, 0, *path.size), context)
            size = (box.width, box.height)
            face = open_face(
                spec, solo, size, own_speech, context, alpha=is_cut_out(solo), low=low, reach=reach
            )
            opened.callback(face.engine.close)
            # Two who move in step look like one behind a mirror.
            seeded = spec.model_copy(update={"seed": spec.seed + number})
            track = motion_of(seeded, solo, own_speech)
            base = face.engine.base
            if blur > 0 and not face.engine.info.whole_picture:
                base = source_background(solo.face, Rect(0, 0, *size), canvas.whole_fps, blur, context)
            elif base is not None and base.shape[2] == 4 and not base[..., 3].any():
                base = None
            for notice in () if low else face.notices():
                warn(notice.model_copy(update={"scene": scene.id}))
            seats.append(Seat(solo.layout, face, path, track, base, blur, MouthCheck(solo.face, track)))
        opened.pop_all()
    return Cast(tuple(seats))


def host_of(scene: Scene, speech: SpeechTrack, canvas: Canvas) -> tuple[Scene, SpeechTrack]:
    """Returns the scene's own speaker as the only one, with what they say."""
    return next(iter(solo_scenes(scene, speech, canvas)))
