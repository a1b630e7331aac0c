"""The filmed mouth in long pauses, for who asks for it: `avatar lipsync --pauses filmed`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from avatar.engines.latentsync.gate import speech_steps
from avatar.engines.latentsync.resting import Lips, Rests, fade_frames, pause_frames
from avatar.face.landmarks import FaceLandmarks
from synthetic_speaker import Clips, DotTracker, speaker

FADE = 4
LEAST = 2 * FADE + 1


def shown(may_rest: str, fade: int = FADE) -> list[float]:
    """How much of the drawn mouth; "." is a frame that may rest, "#" one that may not."""
    frames = ((index, mark == ".") for index, mark in enumerate(may_rest))
    made = list(Rests[int](fade).over(frames))
    assert [index for index, _ in made] == list(range(len(may_rest)))
    return [strength for _, strength in made]


def test_a_long_pause_rests_and_the_drawn_mouth_is_back_when_speech_begins() -> None:
    pause = LEAST + 4
    strengths = shown("###" + "." * pause + "##")
    assert [*strengths[:3], *strengths[-2:]] == [1.0] * 5
    resting = strengths[3 : 3 + pause]
    assert resting[:5] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    assert resting[-5:] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert set(resting[4:-4]) == {0.0}


@pytest.mark.parametrize("length", range(1, LEAST))
def test_a_pause_without_room_for_both_fades_is_drawn(length: int) -> None:
    assert set(shown("##" + "." * length + "##")) == {1.0}
    assert set(shown("." * length + "##")) == {1.0}


def test_nothing_fades_where_the_clip_begins_or_ends_in_a_rest() -> None:
    begins = shown("." * 12 + "##")
    assert begins[:8] == [0.0] * 8 and begins[8:] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    ends = shown("##" + "." * 12)
    assert ends[-8:] == [0.0] * 8 and ends[:6] == pytest.approx([1, 1, 0.8, 0.6, 0.4, 0.2])
    assert shown("." * 40) == [0.0] * 40


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fade", [4, 12])
def test_it_never_jumps_and_never_rests_where_it_may_not(seed: int, fade: int) -> None:
    lengths = np.random.default_rng(seed).integers(1, 4 * fade, 30)
    may_rest = "".join(".#"[number % 2] * int(length) for number, length in enumerate(lengths))
    strengths = np.array(shown(may_rest, fade))
    assert np.abs(np.diff(strengths)).max() <= 1 / (fade + 1) + 1e-9
    assert (strengths[np.array([*may_rest]) == "#"] == 1).all()
    assert (strengths == 0).any()


def test_few_frames_are_held_however_long_the_clip() -> None:
    given = 0

    def frames() -> Any:
        nonlocal given
        for given in range(1, 1001):
            yield given, True

    for taken, _ in enumerate(Rests[int](FADE).over(frames()), 1):
        assert given - taken <= LEAST


@pytest.mark.parametrize(("fps", "frames"), [(10, 4), (25, 5), (60, 12)])
def test_a_fade_lasts_at_least_four_frames(fps: int, frames: int) -> None:
    assert fade_frames(fps) == frames


def test_lips_do_not_flicker_between_shut_and_open() -> None:
    lips = Lips()
    seen = [lips.see(opening) for opening in (0.05, 0.029, 0.05, 0.061, 0.05, 0.0, float("nan"), 0.05)]
    assert seen == [False, True, True, False, False, True, False, False]


@pytest.mark.parametrize("fps", [25, 30])
def test_frames_without_any_speech_are_pauses(fps: int) -> None:
    rate = 16_000
    sound = np.zeros(3 * rate, np.float32)
    sound[:rate] = 0.4 * np.sin(np.arange(rate) / 14)
    sound[2 * rate :] = sound[:rate]
    pauses = pause_frames(speech_steps(sound), 3 * fps + 2, fps)
    inside = np.flatnonzero(pauses[: 3 * fps]) / fps
    assert 1.0 < inside[0] <= 1.2 and 1.8 <= inside[-1] < 2.0, "within the margins of the gate"
    assert np.diff(np.flatnonzero(pauses[: 3 * fps])).max() == 1
    assert pauses[3 * fps :].all(), "after the sound's end nobody speaks"
    assert pause_frames(np.zeros(0, np.bool_), 3, fps).all()


class Ajar(DotTracker):
    """The same face with its lips apart, from the frame on that is told."""

    def __init__(self, since: int) -> None:
        self._since, self._frame = since, -1

    def track(self, image_bgr: Any) -> list[FaceLandmarks]:
        self._frame += 1
        faces = super().track(image_bgr)
        for face in faces:
            face.points[[61, 291], 0] += (-12, 12)
            face.points[[13, 14], 1] += (-3, 3) if self._frame >= self._since else (0, 0)
        return faces


@pytest.mark.torch
@pytest.mark.parametrize(
    ("pauses", "ajar_since", "filmed"),
    [("drawn", 1000, None), ("filmed", 1000, range(48, 60)), ("filmed", 0, None), ("filmed", 52, None)],
)
def test_what_a_long_pause_shows(
    clips: Clips, small_engine: Callable[..., Any], pauses: Any, ajar_since: int, filmed: range | None
) -> None:
    """The sound speaks for 1.6 s of 2.4; see `Clips.sound`."""
    from avatar.pipeline.context import Context
    from avatar.pipeline.latentsync import MouthOptions, lipsync_by_networks
    from avatar.spec import Captions, Consent, LipsyncSpec, MediaRef, Output, VideoFace

    engine = small_engine(steps=1)
    engine._open_tracker = lambda: Ajar(ajar_since)
    agreed = Consent(id="c1", person="A drawing", granted_at="2026-01-01", purpose="test")
    spec = LipsyncSpec(
        face=VideoFace(video=MediaRef(path=str(clips.video(60)), name="in.mp4"), consent=agreed),
        audio=MediaRef(path=str(clips.sound(2.4)), name="speech.wav"),
        output=Output(captions=Captions(mode="none")),
    )
    out = clips.folder / "out.mp4"
    context = Context(cache=clips.folder / "cache")
    lipsync_by_networks(spec, out, context, MouthOptions(pauses=pauses), lambda _: engine)
    changed = mouths_apart(out)
    assert min(changed[:40]) > 20, "speech is drawn"
    if filmed is None:
        assert min(changed) > 20, changed
    else:
        assert max(changed[index] for index in filmed) < 8, changed
        assert np.diff(changed[40:52]).min() > -12, "four frames at least are between the two"


def mouths_apart(path: Path) -> list[float]:
    """How far each frame's mouth is from the filmed one."""
    with av.open(str(path)) as container:
        made = [frame.to_ndarray(format="bgr24").astype(int) for frame in container.decode(video=0)]
    mouth = np.s_[90:120, 80:110]
    return [
        float(np.abs(picture[mouth] - speaker(index).astype(int)[mouth]).mean())
        for index, picture in enumerate(made)
    ]
