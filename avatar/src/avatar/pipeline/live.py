"""A face that answers live: orders come as JSON lines, frames go into shared memory; `avatar live` calls it.

The clock of the frames is the system's monotonic one. A frame that cannot be drawn in time is left out:
pictures never queue. While nothing is said every second frame is drawn, which saves half of the work.
"""

from __future__ import annotations

import base64
import binascii
import math
import mmap
import os
import queue
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from pydantic import BaseModel, ValidationError

from avatar.compose.colour import Planes
from avatar.errors import InvalidInput
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.face_engine import quick_scene
from avatar.pipeline.scene_renderer import FrameState, SceneRenderer, open_scene
from avatar.spec import Canvas, Finished, PhotoFace, RenderSpec, RigFace, Scene, StageStarted
from avatar.spec.live import (
    LIVE_ORDER,
    SLOTS,
    LiveBegin,
    LiveFrame,
    LiveHush,
    LiveReady,
    LiveSentence,
    LiveState,
    slot_bytes,
)
from avatar.speech.sound import WavWriter
from avatar.timing import Acting, control_track, motion_style
from avatar.timing.live import MOOD_OF_EMOTION, LiveMotion
from avatar.tracks import ControlTrack, Phone, SpeechTrack, Word

if TYPE_CHECKING:
    from avatar.spec.live import LiveOrder

IDLE_S = 40
SILENCE_HZ = 16_000
MAX_LINE_BYTES = 32 << 20
MAX_PENDING = 32
"""Sentences that were sent and have not begun."""
Emit = Callable[[BaseModel], None]


def act_live(
    spec: RenderSpec, scene_id: str, memory: Path, orders: BinaryIO, emit: Emit, context: Context
) -> Finished:
    """Draws until `orders` ends. `memory` is a file of `SLOTS` * `slot_bytes` bytes.

    Raises InvalidInput `live.face_not_drawn`, `live.bad_memory` and `live.bad_canvas`.
    """
    scene = quick_scene(spec.scene(scene_id))
    require_consent(scene)
    canvas = spec.canvas
    _require_drawn(scene, canvas)
    slots = _slots(memory, canvas)
    with tempfile.TemporaryDirectory(prefix="avatar-live-") as folder:
        context.tell(StageStarted(stage="prepare", scene=scene_id))
        silence = _silence(Path(folder))
        motion = LiveMotion(_motion_of(spec, scene, silence))
        speaker = _Speaker(spec, scene, Path(folder))
        with closing(open_scene(spec, scene, silence, context, context.tell)) as renderer:
            emit(LiveReady(width=canvas.width, height=canvas.height, fps=motion.fps))
            loop = _FrameLoop(renderer, motion, slots, emit)
            reader = threading.Thread(target=speaker.read, args=(orders, loop.orders), daemon=True)
            reader.start()
            loop.run(speaker, context.check)
            uses = renderer.uses(scene_id)
    return Finished(
        files=(), duration_ms=round(1000 * loop.next / motion.fps), frames=loop.drawn, engines=uses
    )


class _FrameLoop:
    """Draws the frames of `motion`, each at its moment."""

    def __init__(self, renderer: SceneRenderer, motion: LiveMotion, slots: list[Planes], emit: Emit) -> None:
        self.orders: queue.SimpleQueue[LiveBegin | LiveHush | LiveState | None] = queue.SimpleQueue()
        """None ends it."""
        self.next = self.drawn = 0
        self._renderer, self._motion, self._slots, self._emit = renderer, motion, slots, emit
        self._dropped = 0

    def run(self, speaker: _Speaker, check: Callable[[], None]) -> None:
        """Draws until the orders end. `check` raises once the process is to stop."""
        fps = self._motion.fps
        began_s = time.monotonic()
        # It is read frame by frame, as a track is.
        states = self._renderer.frame_states(cast(ControlTrack, self._motion))
        with closing(states):
            while self._obey(speaker, began_s):
                check()
                due = math.floor((time.monotonic() - began_s) * fps)
                self._leave_out(states, due)
                at_s = began_s + self.next / fps
                time.sleep(max(0.0, at_s - time.monotonic()))
                state = next(states)
                rests = self.next % 2 and not self._motion.is_speaking(self.next)
                if not rests:
                    self._draw(state, at_s)
                self.next += 1

    def _obey(self, speaker: _Speaker, began_s: float) -> bool:
        """Returns False once the orders have ended."""
        while True:
            try:
                order = self.orders.get_nowait()
            except queue.Empty:
                return True
            if order is None:
                return False
            match order:
                case LiveBegin():
                    if (track := speaker.take(order.id)) is not None:
                        self._motion.say(track, order.at_s - began_s)
                case LiveHush():
                    self._motion.hush(time.monotonic() - began_s)
                case LiveState():
                    self._motion.show(order.state)

    def _leave_out(self, states: Iterator[FrameState], due: int) -> None:
        while self.next < due:
            next(states)
            self.next += 1
            self._dropped += 1

    def _draw(self, state: FrameState, at_s: float) -> None:
        slot = self.drawn % SLOTS
        self._renderer.paint(state, self._slots[slot])
        self.drawn += 1
        self._emit(LiveFrame(slot=slot, at_s=at_s, dropped=self._dropped))


class _Speaker:
    """Reads orders, and computes the motion of sentences before they begin."""

    def __init__(self, spec: RenderSpec, scene: Scene, folder: Path) -> None:
        self._spec, self._scene, self._folder = spec, scene, folder
        self._tracks: dict[int, ControlTrack] = {}

    def take(self, number: int) -> ControlTrack | None:
        """Returns the motion of a sentence that begins; those before it are forgotten."""
        track = self._tracks.pop(number, None)
        for before in [one for one in list(self._tracks) if one < number]:
            self._tracks.pop(before, None)
        return track

    def read(
        self, orders: BinaryIO, queued: queue.SimpleQueue[LiveBegin | LiveHush | LiveState | None]
    ) -> None:
        """Passes on the orders of a stream until it ends; lines that are none are skipped."""
        try:
            while line := orders.readline(MAX_LINE_BYTES):
                try:
                    order: LiveOrder = LIVE_ORDER.validate_json(line)
                except ValidationError:
                    continue
                if isinstance(order, LiveSentence):
                    self._prepare(order)
                else:
                    queued.put(order)
        finally:
            queued.put(None)

    def _prepare(self, sentence: LiveSentence) -> None:
        wav = self._folder / f"sentence-{sentence.id}.wav"
        try:
            wav.write_bytes(base64.b64decode(sentence.wav))
            with wave.open(str(wav)) as file:
                rate_hz = file.getframerate()
            speech = SpeechTrack(
                wav=wav,
                sample_rate_hz=rate_hz,
                duration_ms=sentence.duration_ms,
                words=tuple(Word(one.text, one.start_ms, one.end_ms) for one in sentence.words),
                phones=tuple(Phone(one.ipa, one.start_ms, one.end_ms) for one in sentence.phones),
                phone_source=sentence.phone_source,
            )
            mood = MOOD_OF_EMOTION.get(sentence.emotion, self._scene.mood)
            self._tracks[sentence.id] = _motion_of(self._spec, self._scene, speech, Acting(mood), sentence.id)
        except (binascii.Error, wave.Error, EOFError):
            # Nothing is known of its sound: the mouth stays shut.
            return
        finally:
            wav.unlink(missing_ok=True)
        while len(self._tracks) > MAX_PENDING:
            self._tracks.pop(next(iter(self._tracks)))


def _motion_of(
    spec: RenderSpec, scene: Scene, speech: SpeechTrack, acting: Acting | None = None, variant: int = 0
) -> ControlTrack:
    style = motion_style(scene.movement)
    return control_track(
        speech,
        float(spec.canvas.whole_fps),
        spec.seed + variant,
        style=style,
        acting=acting or Acting(scene.mood),
    )


def _silence(folder: Path) -> SpeechTrack:
    path = folder / "silence.wav"
    with WavWriter(path, SILENCE_HZ) as writer:
        writer.silence(1000 * IDLE_S)
    return SpeechTrack(path, SILENCE_HZ, 1000 * IDLE_S, (), ())


def _slots(memory: Path, canvas: Canvas) -> list[Planes]:
    size, step = Planes.bytes_of(canvas.width, canvas.height), slot_bytes(canvas.width, canvas.height)
    try:
        with memory.open("r+b") as file:
            if os.fstat(file.fileno()).st_size >= SLOTS * step:
                return [
                    Planes(canvas.width, canvas.height, mmap.mmap(file.fileno(), size, offset=slot * step))
                    for slot in range(SLOTS)
                ]
    except OSError:
        pass
    raise InvalidInput(
        "live.bad_memory",
        f"{memory.name} is no file of {SLOTS * step} bytes.",
        "Start this program from the voice worker, which shares its memory.",
    )


def _require_drawn(scene: Scene, canvas: Canvas) -> None:
    if scene.speakers or not isinstance(scene.face, RigFace | PhotoFace):
        raise InvalidInput(
            "live.face_not_drawn",
            "Live faces are drawn characters and photos, one at a time.",
            "Choose a presenter that is drawn, or made from a photo.",
        )
    if canvas.rate.denominator != 1 or not Planes.can_lie_in(canvas.width, canvas.height):
        raise InvalidInput(
            "live.bad_canvas",
            f"{canvas.width}x{canvas.height} at {canvas.fps} frames a second cannot be sent live.",
            "Use an even width, a height that is a multiple of four, and a whole frame rate.",
        )
