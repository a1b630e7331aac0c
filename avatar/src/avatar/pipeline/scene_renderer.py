"""The picture side of a scene: engine, backdrop, overlays and captions; the frame loop draws from it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from avatar.compose.background import Backdrop, blur_source, open_backdrop
from avatar.compose.blend import Sprite, lay
from avatar.compose.burned import BurnedCaptions
from avatar.compose.camera import Shooter, camera_path, stage_scene
from avatar.compose.colour import Pixels, Planes
from avatar.compose.composer import Composer
from avatar.compose.cues import make_cues
from avatar.compose.fonts import Fonts
from avatar.compose.free_places import faces_of, free_place
from avatar.compose.graphics import area_of
from avatar.compose.layout import Rect, line_chars, place
from avatar.compose.overlays import (
    FONTS_HINT,
    OverlayTrack,
    open_overlays,
    warn_missing_font,
    warn_missing_glyphs,
)
from avatar.compose.seats import box_path, share_canvas
from avatar.compose.shapes import shape_mask
from avatar.compose.text import letters_of
from avatar.encode.provenance import EngineRecord
from avatar.engines.base import EngineReport, Layer
from avatar.errors import Unavailable
from avatar.pipeline.cast import Cast, host_of, is_cast, is_cut_out, open_cast, seat_of
from avatar.pipeline.context import Context
from avatar.pipeline.face_engine import FaceOpened, engine_box, open_face
from avatar.pipeline.mouth_check import MouthCheck
from avatar.pipeline.own_background import source_background
from avatar.pipeline.record import engine_records
from avatar.spec import (
    Canvas,
    EngineUse,
    ListOverlay,
    Notice,
    RenderSpec,
    Scene,
    SourceBackground,
    VideoBackground,
)
from avatar.timing import frames_of
from avatar.tracks import ControlTrack, SpeechTrack

Warn = Callable[[Notice], None]


@dataclass(frozen=True, slots=True)
class FrameState:
    """All that one frame is drawn from."""

    index: int
    face: Any
    sprites: tuple[Sprite, ...]
    backdrop: Pixels | None


@dataclass(frozen=True, slots=True)
class Lettering:
    """Holds what lies over the picture: overlays and captions. Frames come in order, `fps` a second."""

    overlays: list[OverlayTrack]
    captions: BurnedCaptions | None
    fps: float

    def sprites_at(self, index: int) -> Iterator[Sprite]:
        ms = index * 1000 / self.fps
        for track in self.overlays:
            sprite = track.at(ms)
            if sprite is not None:
                yield sprite
        caption = None if self.captions is None else self.captions.at(ms)
        if caption is not None:
            yield caption


class SceneRenderer:
    """An opened scene. `frame_states` runs in one thread, in order; `paint` runs in several, in any order."""

    def __init__(
        self,
        face: FaceOpened | None,
        composer: Composer,
        backdrop: Backdrop,
        lettering: Lettering,
        own_background: Callable[[Layer], Pixels] | None = None,
        shooter: Shooter | None = None,
        cast: Cast | None = None,
    ) -> None:
        self._engine = None if face is None else face.engine
        self._cast = cast
        self._faces = [face for face in (face, *(() if cast is None else cast.faces)) if face is not None]
        self._composer = composer
        self._backdrop = backdrop
        self._lettering = lettering
        self._own_background = own_background
        self._shooter = shooter
        self.mouth: MouthCheck | None = None
        """Is shown each face that is drawn."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of its frames."""
        return self._composer.size if self._shooter is None else self._shooter.size

    @property
    def wants_processes(self) -> bool:
        """Returns whether processes should share the painting, each running through all `frame_states`."""
        reads_files = self._backdrop.moving is not None
        hold_lock = all(face.engine.info.holds_lock for face in self._faces)
        return bool(self._faces) and hold_lock and not reads_files

    def frame_states(self, track: ControlTrack) -> Generator[FrameState]:
        """One per frame of `track`."""
        faces: Iterator[Any]
        if self._cast is not None:
            faces = self._cast.items()
        else:
            faces = iter([None] * track.frames) if self._engine is None else self._engine.items(track)
        for index, face in enumerate(faces):
            sprites = tuple(self._lettering.sprites_at(index))
            moving = self._backdrop.moving
            yield FrameState(index, face, sprites, None if moving is None else next(moving))

    def paint(self, state: FrameState, onto: Planes | None = None) -> Planes:
        """The finished frame of a moment; give it back with `recycle` once it is encoded.

        `onto` is where it is painted; without it in memory of our own.
        """
        if self._cast is not None:
            return self._paint_cast(self._cast.sprites(state.index, state.face), state, onto)
        return self.compose(self.draw(state), state, onto)

    def _paint_cast(self, speakers: tuple[Sprite, ...], state: FrameState, onto: Planes | None) -> Planes:
        if self._shooter is None:
            return self._composer.paint(None, (*speakers, *state.sprites), state.backdrop, onto)
        stage = self._composer.paint(None, speakers, state.backdrop)
        return self._shoot(stage, state, onto)

    def draw(self, state: FrameState) -> Layer | None:
        """The engine's part of `paint`: the face alone."""
        if self._engine is None:
            return None
        layer = self._engine.draw(state.face)
        if self.mouth is not None:
            self.mouth.see(state.index, layer, self._engine.base)
        return layer

    def compose(self, layer: Layer | None, state: FrameState, onto: Planes | None = None) -> Planes:
        """Our part of `paint`: everything around the face."""
        backdrop = state.backdrop
        if self._own_background is not None and layer is not None:
            backdrop = self._own_background(layer)
        if self._shooter is None:
            return self._composer.paint(layer, state.sprites, backdrop, onto)
        return self._shoot(self._composer.paint(layer, (), backdrop), state, onto)

    def _shoot(self, stage: Planes, state: FrameState, onto: Planes | None) -> Planes:
        if self._shooter is None:
            raise ValueError("no camera moves in this scene")
        frame = self._shooter.shoot(stage, state.index, state.sprites, onto)
        self._composer.recycle(stage)
        return frame

    def recycle(self, planes: Planes) -> None:
        """Take back a painted frame that has been encoded."""
        (self._composer if self._shooter is None else self._shooter).recycle(planes)

    def mouth_notices(self) -> Iterator[Notice]:
        """Yields what is wrong with drawn mouths, once all are drawn. Raises InvalidInput
        `face.mouth_still`.
        """
        if self._cast is not None:
            yield from self._cast.verdicts()
        elif self.mouth is not None and (found := self.mouth.verdict()) is not None:
            yield found

    def report(self) -> EngineReport:
        if self._cast is not None:
            return self._cast.report()
        return EngineReport() if self._engine is None else self._engine.report()

    def engines(self) -> tuple[EngineRecord, ...]:
        """Returns the engines that took part; complete once the last frame is drawn."""
        if self._cast is not None:
            return self._cast.engines()
        if self._engine is None:
            return ()
        return engine_records(self._engine.info.parts or (self._engine.info,), self.report().trackers)

    def uses(self, scene_id: str) -> tuple[EngineUse, ...]:
        """Returns the engines that draw the faces, each once, and why; none where no person is shown."""
        return tuple(dict.fromkeys(face.use(scene_id) for face in self._faces))

    @property
    def takes_least(self) -> bool:
        """Returns whether it could not take less of a card."""
        return all(face.takes_least for face in self._faces)

    @property
    def on_processor(self) -> bool:
        """Returns whether networks draw the face without a card, in fp32."""
        return any(face.on_processor for face in self._faces)

    def close(self) -> None:
        if self._cast is not None:
            self._cast.close()
        if self._engine is not None:
            self._engine.close()


def open_scene(
    spec: RenderSpec, scene: Scene, speech: SpeechTrack, context: Context, warn: Warn, *, low: bool = False
) -> SceneRenderer:
    """Open everything the pictures of `scene` need; `low` takes as little of a card as can be.

    Raises Unavailable `captions.no_font`, and `AvatarError` for what cannot be read or found.
    """
    canvas = spec.canvas
    fonts = Fonts.of_this_machine()
    scene = stage_scene(scene, canvas)
    faces = faces_of(scene, canvas)
    free = partial(free_place, canvas=canvas, fonts=fonts, faces=faces, captions=spec.output.captions.burned)
    listed = scene.overlays
    scene = scene.model_copy(update={"overlays": tuple(map(free, listed))})
    moved = [new for old, new in zip(listed, scene.overlays, strict=True) if new is not old]
    taken = [area_of(one, canvas) for one in moved if isinstance(one, ListOverlay)]
    # Overlays first: a file that is not there is found before any costly work begins.
    overlays = open_overlays(
        scene,
        speech.words,
        speech.duration_ms,
        canvas,
        context.resolve,
        fonts,
        warn,
        tuple(map(free, spec.overlays)),
    )
    captions = _captions(spec, scene, speech, fonts, warn, [*faces, *taken])
    lettering = Lettering(overlays, captions, float(canvas.rate))
    frames = frames_of(speech.duration_ms, float(canvas.rate))
    path = camera_path(scene, speech.words, frames, canvas, warn)
    shooter = None
    if path is not None:
        shown, canvas = canvas, _stage_canvas(canvas, path.stage_scale)
        shooter = Shooter(path, shown)
    backdrop = open_backdrop(scene.background, canvas, context.resolve, context.cache)
    if not scene.faces:
        composer = Composer(backdrop.still, Rect(0, 0, 0, 0))
        return SceneRenderer(None, composer, backdrop, lettering, shooter=shooter)
    if is_cast(scene):
        cast = open_cast(spec, scene, speech, canvas, context, warn, low=low)
        composer = Composer(_in_shares(scene, backdrop.still, canvas, context), Rect(0, 0, 0, 0))
        return SceneRenderer(None, composer, backdrop, lettering, shooter=shooter, cast=cast)
    seat, reach = seat_of(scene, box_path(scene.layout, (), 1, canvas, scene.id, warn), canvas)
    box = engine_box(scene, seat.at(0).rect, context)
    _, own_speech = host_of(scene, speech, canvas)
    face = open_face(
        spec,
        scene,
        (box.width, box.height),
        own_speech,
        context,
        alpha=is_cut_out(scene),
        low=low,
        reach=reach,
    )
    for notice in () if low else face.notices():
        warn(notice.model_copy(update={"scene": scene.id}))
    engine = face.engine
    mask = shape_mask(scene.layout.shape, box.width, box.height)
    blur = scene.background.blur if isinstance(scene.background, SourceBackground) else 0
    moving = None
    still = backdrop.still
    if blur > 0 and engine.info.whole_picture:
        moving = partial(_behind_layer, still, box, mask, blur)
    elif blur > 0:
        still = _behind(still, source_background(scene.face, box, canvas.whole_fps, blur, context), box, mask)
    composer = Composer(still, box, engine.base, mask)
    return SceneRenderer(face, composer, backdrop, lettering, moving, shooter)


def _stage_canvas(canvas: Canvas, scale: float) -> Canvas:
    """The canvas as large as the nearest look of the camera needs it."""
    if scale == 1:
        return canvas
    width, height = (round(scale * side / 4) * 4 for side in (canvas.width, canvas.height))
    return canvas.model_copy(update={"width": width, "height": height})


def _in_shares(scene: Scene, still: Pixels, canvas: Canvas, context: Context) -> Pixels:
    """Returns the still backdrop, one for each of the speakers who share an upright canvas above each other:
    before a common one the upper ones would have no body.
    """
    if canvas.height <= canvas.width or isinstance(scene.background, SourceBackground | VideoBackground):
        return still
    layouts = zip(scene.cast, share_canvas(scene.cast, canvas), strict=True)
    shares = [place(layout.box, canvas) for one, layout in layouts if layout.box != one.layout.box]
    still = still.copy()
    for share in shares:
        size = canvas.model_copy(update={"height": share.height})
        still[share.rows] = open_backdrop(scene.background, size, context.resolve, context.cache).still
    for share in shares[1:]:
        still[share.y - 2 : share.y + 2] = 0
    return still


def _behind(still: Pixels, picture: Pixels, box: Rect, mask: Pixels | None) -> Pixels:
    """The backdrop, with the speaker's own background in the box."""
    behind = still.copy()
    lay(behind, Rect(0, 0, behind.shape[1], behind.shape[0]), Sprite(picture, box.x, box.y), mask)
    return behind


def _captions(
    spec: RenderSpec, scene: Scene, speech: SpeechTrack, fonts: Fonts, warn: Warn, taken: Sequence[Rect]
) -> BurnedCaptions | None:
    form = spec.output.captions
    if not form.burned:
        return None
    cues = make_cues(
        speech.words,
        speech.duration_ms,
        line_chars(form, spec.canvas),
        form.max_lines,
        scene.language,
        speech.speaker_changes,
    )
    warn_missing_font(form.style.font, fonts, scene.id, warn)
    captions = BurnedCaptions(cues, form, spec.canvas, fonts, taken)
    missing = captions.missing_glyphs()
    if not (letters := letters_of(missing)):
        warn_missing_glyphs(missing, scene.id, warn)
        return captions
    message = f"No font of this machine can draw {' '.join(letters[:10])}, so captions cannot be burned in."
    if not form.soft:
        raise Unavailable("captions.no_font", message, f"{FONTS_HINT} Soft captions need no font.")
    soft = "The soft ones beside the video are whole."
    warn(Notice(code="captions.no_font", message=f"{message} {soft} {FONTS_HINT}", scene=scene.id))
    return None


def _behind_layer(still: Pixels, box: Rect, mask: Pixels | None, blur: float, layer: Layer) -> Pixels:
    """The backdrop of a frame of a motion video: `still`, with what lies behind the person in the box.

    The layers of a motion video hold the whole picture, with the person in their alpha. Called from several
    threads.
    """
    whole = np.ascontiguousarray(layer.pixels[..., :3])
    return _behind(still, blur_source(whole, layer.pixels[..., 3], blur), box, mask)
