"""The filmed mouth in long pauses: `pauses` of a face, `--pauses` of the verbs."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avatar.cli.lipsyncing import _spec as lipsync_spec
from avatar.cli.lipsyncing import add_lipsync
from avatar.engines.latentsync.pauses import LipState, PauseFader, fade_frames, pause_frames
from avatar.engines.latentsync.sound import speech_steps
from avatar.face.landmarks import FaceLandmarks
from avatar.face.layouts import layout_of
from synthetic_speaker import SIZE, Clips, DotTracker

FADE = 4
MIN_PAUSE = 2 * FADE + 1


def strengths_of(may_rest: str, fade: int = FADE) -> list[float]:
    """Returns the strength of the drawn mouth; "." is a frame that may rest, "#" one that may not."""
    frames = ((index, mark == ".") for index, mark in enumerate(may_rest))
    results = list(PauseFader[int](fade).apply(frames))
    assert [index for index, _ in results] == list(range(len(may_rest)))
    return [strength for _, strength in results]


def test_a_long_pause_rests_and_the_drawn_mouth_is_back_when_speech_begins() -> None:
    pause = MIN_PAUSE + 4
    strengths = strengths_of("###" + "." * pause + "##")
    assert [*strengths[:3], *strengths[-2:]] == [1.0] * 5
    resting = strengths[3 : 3 + pause]
    assert resting[:5] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    assert resting[-5:] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])
    assert set(resting[4:-4]) == {0.0}


@pytest.mark.parametrize("length", range(1, MIN_PAUSE))
def test_a_pause_without_room_for_both_fades_is_drawn(length: int) -> None:
    assert set(strengths_of("##" + "." * length + "##")) == {1.0}
    assert set(strengths_of("." * length + "##")) == {1.0}


def test_nothing_fades_where_the_clip_begins_or_ends_in_a_rest() -> None:
    begins = strengths_of("." * 12 + "##")
    assert begins[:8] == [0.0] * 8 and begins[8:] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    ends = strengths_of("##" + "." * 12)
    assert ends[-8:] == [0.0] * 8 and ends[:6] == pytest.approx([1, 1, 0.8, 0.6, 0.4, 0.2])
    assert strengths_of("." * 40) == [0.0] * 40


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fade", [4, 12])
def test_it_never_jumps_and_never_rests_where_it_may_not(seed: int, fade: int) -> None:
    lengths = np.random.default_rng(seed).integers(1, 4 * fade, 30)
    may_rest = "".join(".#"[number % 2] * int(length) for number, length in enumerate(lengths))
    strengths = np.array(strengths_of(may_rest, fade))
    assert np.abs(np.diff(strengths)).max() <= 1 / (fade + 1) + 1e-9
    assert (strengths[np.array([*may_rest]) == "#"] == 1).all()
    assert (strengths == 0).any()


def test_few_frames_are_held_however_long_the_clip() -> None:
    taken_count = 0

    def frames() -> Any:
        nonlocal taken_count
        for taken_count in range(1, 1001):
            yield taken_count, True

    for taken, _ in enumerate(PauseFader[int](FADE).apply(frames()), 1):
        assert taken_count - taken <= MIN_PAUSE


@pytest.mark.parametrize(("fps", "frames"), [(10, 4), (25, 5), (60, 12)])
def test_a_fade_lasts_at_least_four_frames(fps: int, frames: int) -> None:
    assert fade_frames(fps) == frames


def test_lips_do_not_flicker_between_shut_and_open() -> None:
    lips = LipState()
    seen = [lips.update(opening) for opening in (0.05, 0.029, 0.05, 0.061, 0.05, 0.0, float("nan"), 0.05)]
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


class Shut(DotTracker):
    """The same face with its lips together, until the frame that is told."""

    def __init__(self, until: int) -> None:
        self._until, self._frame = until, -1

    def track(self, image_bgr: Any) -> list[FaceLandmarks]:
        # After the first picture, one look at all of it comes beside the close one.
        self._frame += self._frame < 0 or image_bgr.shape[:2] != SIZE[::-1]
        faces = super().track(image_bgr)
        for face in faces:
            upper, lower, *_ = layout_of(face.points).lips
            face.points[lower] = face.points[upper] if self._frame < self._until else face.points[lower]
        return faces


FRAMES = 48
SPOKEN = 32
"""The sound speaks for two thirds, see `Clips.sound`; the gate keeps 0.12 s more."""
QUIET = SPOKEN + 3
FADED = range(QUIET, QUIET + 5)


@pytest.fixture
def draw_pictures(
    clips: Clips, small_engine: Callable[..., Any]
) -> Callable[..., tuple[list[Any], list[Any]]]:
    """Pictures as they were filmed, and as the engine hands them on, before any encoder."""
    from avatar.engines.base import EngineReport
    from avatar.engines.latentsync.engine import Job, read_footage
    from avatar.engines.resume_cache import ResumeCache
    from avatar.spec import MediaRef, VideoFace

    video, sound = clips.video(FRAMES), clips.sound(FRAMES / 25)

    def make(
        *, shut_until: int = FRAMES, resume_cache: Path | None = None, **face: Any
    ) -> tuple[list[Any], list[Any]]:
        engine = small_engine(steps=1)
        engine._open_tracker = lambda: Shut(shut_until)
        face_spec = VideoFace(video=MediaRef(path=str(video)), **face)
        job = Job(face=face_spec, video=video, name="in.mp4", sound=sound, frames=FRAMES, size=SIZE)
        with engine.pictures(
            job, clips.folder, EngineReport(), resume_cache=ResumeCache(resume_cache)
        ) as pictures:
            results = [picture.copy() for picture in pictures]
        return [picture.copy() for picture in read_footage(job, EngineReport())], results

    return make


def same(read_footage: Sequence[Any], results: Sequence[Any]) -> list[bool]:
    """Of each frame, whether it is the filmed one bit for bit."""
    return [np.array_equal(one, other) for one, other in zip(read_footage, results, strict=True)]


@pytest.mark.torch
@pytest.mark.parametrize(
    ("face", "shut_until", "rests"),
    [
        ({}, FRAMES, True),
        ({"pauses": "drawn"}, FRAMES, False),
        ({"pauses": "filmed"}, 0, False),
        ({"pauses": "filmed"}, QUIET + 2 * len(FADED), False),
    ],
    ids=["by default", "drawn", "lips open", "lips that open soon"],
)
def test_a_long_pause_shows_the_filmed_frames_bit_for_bit_where_their_lips_are_shut(
    draw_pictures: Callable[..., Any], face: dict[str, Any], shut_until: int, rests: bool
) -> None:
    read_footage, results = draw_pictures(shut_until=shut_until, **face)
    assert same(read_footage, results) == [rests and index >= FADED.stop for index in range(FRAMES)]
    if rests:
        apart = [
            np.abs(mouth(one) - mouth(other)).mean() for one, other in zip(read_footage, results, strict=True)
        ]
        assert np.diff(apart[SPOKEN : FADED.stop + 1]).min() > -12, "four frames at least are between the two"


@pytest.mark.torch
def test_what_a_stopped_run_had_finished_serves_both_choices_and_mixes_none(
    draw_pictures: Callable[..., Any], clips: Clips
) -> None:
    fresh = {pauses: draw_pictures(pauses=pauses)[1] for pauses in ("filmed", "drawn")}
    for pauses in ("filmed", "drawn"):
        _, again = draw_pictures(pauses=pauses, resume_cache=clips.folder / "kept")
        assert all(same(fresh[pauses], again)), pauses


def mouth(picture: Any) -> Any:
    return picture[90:120, 80:110].astype(int)


@pytest.mark.parametrize(("face_spec", "pauses"), [((), "filmed"), (("--pauses", "drawn"), "drawn")])
def test_the_verb_hands_the_choice_on_with_the_face(face_spec: tuple[str, ...], pauses: str) -> None:
    parser = ArgumentParser()
    add_lipsync(parser)
    arguments = parser.parse_args(["--video", "in.mp4", "--audio", "in.wav", "--out", "out.mp4", *face_spec])
    assert lipsync_spec(arguments).face.pauses == pauses
