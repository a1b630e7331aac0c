"""Faults of videos, sounds and cards: each is handled, and nothing partial stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from synthetic_speaker import SIZE, Clips, DotTracker, speaker

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.base import EngineReport  # noqa: E402
from avatar.engines.latentsync.engine import Job  # noqa: E402
from avatar.errors import InvalidInput, Unavailable  # noqa: E402
from avatar.face.landmarks import FaceLandmarks  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.spec import MediaRef, VideoFace  # noqa: E402
from test_engine import job, pictures, run  # noqa: E402

Make = Callable[..., Any]


def video_of(path: Path, frames: list[np.ndarray]) -> Path:
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "10", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def nothing_left(folder: Path) -> bool:
    threads = [thread for thread in threading.enumerate() if thread.name == "frames-ahead"]
    return not list(folder.iterdir()) and not threads


def test_a_card_that_vanishes_in_the_middle_leaves_nothing_but_what_was_finished(
    clips: Clips, small_engine: Make
) -> None:
    result_frames = clips.folder / "made"
    result_frames.mkdir()
    spec, context = job(clips.video(24), clips.sound(0.96)), Context(cache=clips.folder / "cache")
    engine = small_engine(steps=1, length=8, overlap=2)
    unet, calls = engine._networks.unet, 0
    real = unet.forward_full

    def vanishing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("CUDA error: the launch timed out and was terminated")
        return real(*arguments)

    unet.forward_full = vanishing
    try:
        with pytest.raises(Unavailable, match=r"gpu\.lost.*the launch timed out"):
            run(spec, result_frames / "out.mp4", engine, context)
        assert nothing_left(result_frames)
        assert len(list((clips.folder / "cache/unfinished").iterdir())) == 2
        calls = 10
        assert run(spec, result_frames / "out.mp4", engine, context).frames == 24
        assert calls == 12, "of four chunks two were there"
    finally:
        del unet.forward_full


def test_a_sound_with_samples_that_are_no_numbers_is_said_all_the_same(
    clips: Clips, small_engine: Make
) -> None:
    broken = clips.folder / "broken.wav"
    values = np.sin(np.arange(12_800) / 9).astype(np.float32)
    values[4000:4400], values[9000] = np.nan, np.inf
    with av.open(str(broken), "w", format="wav") as container:
        stream: Any = container.add_stream("pcm_f32le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(values[None], format="flt", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    run(job(clips.video(20), broken), clips.folder / "out.mp4", small_engine(steps=1))
    result_frames = pictures(clips.folder / "out.mp4")
    filmed = np.stack([speaker(index) for index in range(20)]).astype(int)
    assert np.abs(result_frames[:, :20, :20] - filmed[:, :20, :20]).mean() < 4
    assert np.ptp(result_frames[:, 90:120, 80:110]) > 20, "a mouth is drawn"


@pytest.mark.parametrize("side", [2, 32])
def test_a_video_of_a_few_pixels_is_refused(clips: Clips, small_engine: Make, side: int) -> None:
    tiny = video_of(clips.folder / "tiny.mp4", [np.full((side, side, 3), 90, np.uint8)] * 3)
    result_frames = clips.folder / "made"
    result_frames.mkdir()
    with pytest.raises(InvalidInput, match=rf"video\.too_small.*{side} x {side}"):
        run(job(tiny, clips.sound(0.2)), result_frames / "out.mp4", small_engine(steps=1))
    assert nothing_left(result_frames)


def mean_shift(dx: int, index: int = 0) -> np.ndarray:
    """The speaker, `dx` pixels to the right; what leaves the picture is gone."""
    shift = np.array([[1, 0, dx], [0, 1, 0]], np.float64)
    wall = speaker(0, hidden=True)
    shown = cv2.warpAffine(speaker(index), shift, SIZE, borderMode=cv2.BORDER_TRANSPARENT, dst=wall.copy())
    return np.asarray(shown, np.uint8)


def test_a_face_at_the_edge_of_the_picture_is_drawn_as_far_as_it_is_there(
    clips: Clips, small_engine: Make
) -> None:
    video = video_of(clips.folder / "edge.mp4", [mean_shift(72)] * 10)
    result = run(job(video, clips.sound(0.4)), clips.folder / "out.mp4", small_engine())
    result_frames, filmed = pictures(clips.folder / "out.mp4"), mean_shift(72).astype(int)
    assert result.lost_face_frames == ()
    assert np.abs(result_frames[0][90:120, 160:] - filmed[90:120, 160:]).mean() > 4
    assert np.abs(result_frames[0][:, :60] - filmed[:, :60]).mean() < 4


def test_only_the_chosen_part_of_a_video_is_shown(clips: Clips, small_engine: Make) -> None:
    video = clips.video(40)
    spec = job(video, clips.sound(1.2), start_ms=400, end_ms=800)
    run(spec, clips.folder / "out.mp4", small_engine(steps=1))
    result_frames = pictures(clips.folder / "out.mp4")
    corner = np.s_[:, 40:60, 40:150]
    # Frames 10 to 19 and back again: the top of the head says which is shown.
    for shown, chosen in ((0, [10]), (9, [19]), (14, range(10, 20)), (25, range(10, 20))):
        top = result_frames[shown][corner[1:]]
        apart = [float(np.abs(top - speaker(near)[corner[1:]]).mean()) for near in range(40)]
        assert min(apart[near] for near in chosen) < min(apart) + 1.5, shown
    with pytest.raises(InvalidInput, match=r"video\.empty_range"):
        run(job(video, clips.sound(0.4), start_ms=9000), clips.folder / "b.mp4", small_engine(steps=1))


class Two(DotTracker):
    """Two speakers side by side, seen in an order that says nothing."""

    def track(self, image_bgr: Any) -> list[FaceLandmarks]:
        half = image_bgr.shape[1] // 2
        left, right = super().track(image_bgr[:, :half].copy()), super().track(image_bgr[:, half:].copy())
        for face in right:
            face.points[:, 0] += half
        return right + left


@pytest.mark.parametrize(("index", "drawn"), [(0, 0), (1, 1)])
def test_of_two_people_the_chosen_one_speaks(
    clips: Clips, small_engine: Make, index: int, drawn: int
) -> None:
    frames = [np.hstack([speaker(number), speaker(number + 30)]) for number in range(8)]
    video = video_of(clips.folder / "two.mp4", frames)
    engine = small_engine()
    engine._open_tracker = Two
    run(job(video, clips.sound(0.32), face_index=index), clips.folder / "out.mp4", engine)
    result_frames, filmed = pictures(clips.folder / "out.mp4"), np.stack(frames).astype(int)
    changed = [
        float(np.abs(result_frames[:, 90:120, left : left + 30] - filmed[:, 90:120, left : left + 30]).mean())
        for left in (80, 192 + 70)
    ]
    assert changed[drawn] > 3 * changed[1 - drawn]


class Narrow(DotTracker):
    """Misses what is narrower than a tenth of the view, as a real tracker does."""

    def track(self, image_bgr: Any) -> list[FaceLandmarks]:
        return [
            face for face in super().track(image_bgr) if face.box[2] - face.box[0] >= 0.1 * image_bgr.shape[1]
        ]


def test_a_speaker_who_is_small_in_the_picture_is_given_a_mouth(clips: Clips, small_engine: Make) -> None:
    def far(number: int) -> np.ndarray:
        picture = np.full((360, 640, 3), 120, np.uint8)
        picture[100:260, 300:492] = speaker(number)
        return picture

    frames = [far(number) for number in range(10)]
    assert not Narrow().track(frames[0])
    video = video_of(clips.folder / "far.mp4", frames)
    engine = small_engine(steps=1)
    engine._open_tracker = Narrow
    result = run(job(video, clips.sound(0.4)), clips.folder / "out.mp4", engine)
    assert result.lost_face_frames == ()
    result_frames, filmed = pictures(clips.folder / "out.mp4"), np.stack(frames).astype(int)
    mouth, wall = np.s_[:, 190:220, 380:410], np.s_[:, 190:220, 40:70]
    assert (
        np.abs(result_frames[mouth] - filmed[mouth]).mean()
        > 3 * np.abs(result_frames[wall] - filmed[wall]).mean()
    )


def test_of_a_drawn_photo_the_tracker_is_shown_whole_pictures_alone(clips: Clips, small_engine: Make) -> None:
    """It answers with the photo's own place where it finds nothing: of a part of it that is wrong."""
    looks: list[tuple[int, ...]] = []

    class Known(DotTracker):
        def track(self, image_bgr: Any) -> list[FaceLandmarks]:
            looks.append(image_bgr.shape)
            return super().track(speaker(0))

    engine = small_engine(steps=1)
    engine._open_tracker = Known
    drawn = [np.full((360, 640, 3), 120, np.uint8)] * 6
    bare_job = Job(
        face=VideoFace(video=MediaRef(path="photo.png")),
        video=Path(),
        name="photo.png",
        sound=clips.sound(0.24),
        frames=6,
        size=(640, 360),
        drawn=lambda: iter(drawn),
    )
    with engine.pictures(bare_job, clips.folder, EngineReport()) as result_frames:
        assert len(list(result_frames)) == 6
    assert looks == [(360, 640, 3)] * 6


def test_when_the_speaker_has_left_nobody_else_gets_the_mouth(clips: Clips, small_engine: Make) -> None:
    frames = [np.hstack([speaker(n, hidden=n >= 8), speaker(n + 30)]) for n in range(50)]
    video = video_of(clips.folder / "two.mp4", frames)
    engine = small_engine(steps=1)
    engine._open_tracker = Two
    result = run(job(video, clips.sound(2.0), face_index=0), clips.folder / "out.mp4", engine)
    assert result.lost_face_frames == ((8, 49),)


def test_noise_in_a_pause_moves_no_mouth(clips: Clips, small_engine: Make) -> None:
    """The mouth in the pause is the one of silence, whatever hum the pause holds."""
    rate, seconds = 16_000, 0.88
    at = np.arange(int(seconds * rate)) / rate
    voice = 12_000 * np.sin(2 * np.pi * 170 * at) * (at < 0.3)
    hum = 40 * np.random.default_rng(3).normal(size=len(at)) * (at > 0.5)
    video, results = clips.video(22), {}
    for name, sound in {"silent": voice, "hum": voice + hum, "voice": voice + 200 * hum}.items():
        wav = clips.folder / f"{name}.wav"
        with av.open(str(wav), "w", format="wav") as container:
            stream: Any = container.add_stream("pcm_s16le", rate=rate, layout="mono")
            frame = av.AudioFrame.from_ndarray(
                sound.clip(-32767, 32767).astype(np.int16)[None], layout="mono"
            )
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        run(job(video, wav, pauses="drawn"), clips.folder / f"{name}.mp4", small_engine(steps=1))
        results[name] = pictures(clips.folder / f"{name}.mp4")[15:, 90:120, 80:110]
    assert np.abs(results["hum"] - results["silent"]).max() == 0
    assert np.abs(results["voice"] - results["silent"]).max() > 0, "sound that counts as speech does move it"
