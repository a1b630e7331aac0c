"""`avatar lipsync` with LatentSync from files to a file, with small random networks on the processor."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from avatar.face.landmarks import RIGHT_EYE_OUTER, FaceLandmarks
from synthetic_speaker import Clips, DotTracker, speaker

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.base import EngineReport  # noqa: E402
from avatar.engines.latentsync.engine import Job, prefetch_frames, write_network_sound  # noqa: E402
from avatar.engines.latentsync.face_placement import TURNED_FRAMES  # noqa: E402
from avatar.errors import AvatarError, Cancelled, InvalidInput, Unavailable  # noqa: E402
from avatar.pipeline.context import Context  # noqa: E402
from avatar.pipeline.lipsync.latentsync import MouthOptions, lipsync_by_networks  # noqa: E402
from avatar.spec import (  # noqa: E402
    Captions,
    Consent,
    EngineUse,
    Finished,
    LipsyncSpec,
    MediaRef,
    Output,
    VideoFace,
)

Make = Callable[..., Any]
AGREED = Consent(id="c1", person="A drawing", granted_at="2026-01-01", purpose="test")


def job(video: Path, sound: Path, **face: Any) -> LipsyncSpec:
    return LipsyncSpec(
        face=VideoFace(video=MediaRef(path=str(video), name=video.name), **{"consent": AGREED} | face),
        audio=MediaRef(path=str(sound), name=sound.name),
        output=Output(captions=Captions(mode="none")),
    )


def run(spec: LipsyncSpec, out: Path, engine: Any, context: Context | None = None) -> Finished:
    context = context or Context(cache=out.parent / "cache")
    return lipsync_by_networks(spec, out, context, MouthOptions(), lambda options: engine)


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]).astype(int)


def test_a_video_says_a_sound_that_is_longer_and_keeps_what_lies_around_the_mouth(
    clips: Clips, small_engine: Make
) -> None:
    out = clips.folder / "out.mp4"
    result = run(job(clips.video(14), clips.sound(1.2)), out, small_engine())
    result_frames = pictures(out)
    assert (result.frames, len(result_frames), result.duration_ms) == (30, 30, 1200)
    # Forward, and back: frame 20 shows what frame 6 showed.
    corner = np.s_[:, :30, :30]
    assert np.abs(result_frames[20][corner[1:]] - result_frames[6][corner[1:]]).mean() < 3
    filmed = np.stack([speaker(index) for index in range(14)]).astype(int)
    assert np.abs(result_frames[:14][:, 90:120, 80:110] - filmed[:, 90:120, 80:110]).mean() > 5
    assert np.abs(result_frames[:14][corner] - filmed[corner]).mean() < 4
    assert result.lost_face_frames == ()
    assert result.engines == (EngineUse(scene="lipsync", engine="latentsync", asked="latentsync"),)
    with av.open(str(out)) as container:
        assert container.streams.audio[0].rate == 44_100, "of 22 050"
    record = json.loads((clips.folder / "out.provenance.json").read_text())
    assert record["digital_source_type"].endswith("compositeWithTrainedAlgorithmicMedia")
    assert "latentsync" in {engine["name"] for engine in record["engines"]}
    assert sorted(path.name for path in clips.folder.glob(".*")) == []


def test_a_checkpoint_without_motion_modules_is_used_and_told(clips: Clips, small_engine: Make) -> None:
    engine = small_engine()
    engine._networks = replace(engine._networks, motion=False)
    result = run(job(clips.video(6), clips.sound(0.24)), clips.folder / "out.mp4", engine)
    bare_job = {notice.code: notice.message for notice in result.warnings}
    assert "motion modules" in bare_job["weights.no_motion"]
    whole = run(job(clips.video(6), clips.sound(0.24)), clips.folder / "whole.mp4", small_engine())
    assert "weights.no_motion" not in {notice.code for notice in whole.warnings}


def test_frames_in_which_nobody_is_seen_are_listed_and_the_work_goes_on(
    clips: Clips, small_engine: Make
) -> None:
    video = clips.video(40, hidden=range(12, 34))
    result = run(job(video, clips.sound(1.6)), clips.folder / "out.mp4", small_engine(steps=1))
    assert result.lost_face_frames == ((12, 33),)
    assert "face.lost" in {notice.code for notice in result.warnings}
    result_frames = pictures(clips.folder / "out.mp4")
    assert np.abs(result_frames[30] - speaker(30, hidden=True).astype(int)).mean() < 4


def test_frames_in_which_the_head_is_turned_far_show_the_filmed_mouth_and_are_listed(
    clips: Clips, small_engine: Make
) -> None:
    class Turned(DotTracker):
        frame = -1

        def track(self, image_bgr: np.ndarray) -> list[FaceLandmarks]:
            self.frame += 1
            (face,) = super().track(image_bgr)
            if 12 <= self.frame <= 25:
                face.points[RIGHT_EYE_OUTER, 2] = 2 * face.eye_distance_px
            return [face]

    engine = small_engine(steps=1)
    engine._open_tracker = Turned
    result = run(job(clips.video(40), clips.sound(1.6)), clips.folder / "out.mp4", engine)
    (notice,) = [notice for notice in result.warnings if notice.code == "face.turned"]
    # For as long as a pose counts, the frames after it are listed too.
    assert [list(span) for span in notice.details["frames"]] == [[12, 25 + TURNED_FRAMES - 1]]
    assert result.lost_face_frames == ()
    result_frames = pictures(clips.folder / "out.mp4")
    mouth = np.s_[90:120, 80:110]
    changed = [
        np.abs(result_frames[index][mouth] - speaker(index).astype(int)[mouth]).mean()
        for index in (4, 20, 38)
    ]
    assert changed[1] < 0.7 * min(changed[0], changed[2]), changed


def test_a_video_without_any_face_is_refused_and_leaves_nothing(clips: Clips, small_engine: Make) -> None:
    out = clips.folder / "out.mp4"
    with pytest.raises(InvalidInput) as refused:
        run(job(clips.video(20, hidden=range(20)), clips.sound(0.8)), out, small_engine(steps=1))
    assert refused.value.code == "face.not_found"
    assert not out.exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "frames-ahead"]


def test_a_stop_in_the_middle_leaves_no_file_and_no_thread(clips: Clips, small_engine: Make) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 12:
            raise Cancelled("render.cancelled", "Stopped.")

    out = clips.folder / "out" / "out.mp4"
    context = Context(cache=clips.folder / "cache", check=check)
    with pytest.raises(Cancelled):
        run(job(clips.video(30), clips.sound(1.2)), out, small_engine(), context)
    assert not out.parent.exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "frames-ahead"]


def test_nobody_is_made_to_speak_without_a_record_of_their_consent(clips: Clips, small_engine: Make) -> None:
    with pytest.raises(InvalidInput, match=r"consent\.required"):
        run(job(clips.video(5), clips.sound(0.3), consent=None), clips.folder / "out.mp4", small_engine())


def test_a_full_card_means_a_second_try_in_the_low_mode_and_then_an_error(
    clips: Clips, small_engine: Make
) -> None:
    tried: list[str] = []

    class Full:
        def pictures(self, *_: Any) -> Any:
            raise Unavailable("gpu.out_of_memory", "The card ran out of memory: 9000 MiB were taken.")

    def open_engine(options: MouthOptions) -> Any:
        tried.append(options.vram)
        return Full() if len(tried) == 1 else small_engine(steps=1)

    spec, context = job(clips.video(6), clips.sound(0.24)), Context(cache=clips.folder / "cache")
    result = lipsync_by_networks(spec, clips.folder / "out.mp4", context, MouthOptions(), open_engine)
    assert (tried, result.frames) == (["auto", "low"], 6)
    with pytest.raises(AvatarError, match="9000 MiB"):
        lipsync_by_networks(spec, clips.folder / "b.mp4", context, MouthOptions(), lambda options: Full())


def test_a_card_that_is_full_while_networks_come_means_a_second_try_too(
    clips: Clips, small_engine: Make
) -> None:
    import torch

    tried: list[str] = []

    def open_engine(options: MouthOptions) -> Any:
        tried.append(options.vram)
        if len(tried) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 64.00 MiB.")
        return small_engine(steps=1)

    spec, context = job(clips.video(6), clips.sound(0.24)), Context(cache=clips.folder / "cache")
    result = lipsync_by_networks(spec, clips.folder / "out.mp4", context, MouthOptions(), open_engine)
    assert (tried, result.frames) == (["auto", "low"], 6)


def test_the_networks_hear_16_khz_without_the_pauses_and_without_broken_samples(clips: Clips) -> None:
    network_sound, speech = write_network_sound(clips.sound(1.5), clips.folder / "heard.f32", gated=True)
    assert len(network_sound) == 24_000
    assert np.abs(network_sound[:8000]).max() > 0.3
    assert not network_sound[20_000:].any()
    assert speech[:25].all() and not speech[-12:].any()
    broken = clips.folder / "broken.wav"
    with av.open(str(broken), "w", format="wav") as container:
        stream: Any = container.add_stream("pcm_f32le", rate=16_000, layout="mono")
        values = np.sin(np.arange(16_000) / 9).astype(np.float32)
        values[4000:4400] = np.nan
        frame = av.AudioFrame.from_ndarray(values[None], format="flt", layout="mono")
        frame.sample_rate = 16_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert np.isfinite(write_network_sound(broken, clips.folder / "b.f32", gated=False)[0][:]).all()


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 500}, {"guidance": -1.0}, {"reuse": 0}])
def test_impossible_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"lipsync\.bad_"):
        MouthOptions(**options)


def test_as_many_pictures_wait_as_the_next_chunks_need_and_memory_allows(small_engine: Any) -> None:
    engine = small_engine(length=16, overlap=2)
    engine._plan = replace(engine._plan, chunks=2)
    sizes = [(640, 360), (1920, 1080), (3840, 2160)]
    assert [prefetch_frames(engine._settings, engine._plan, size) for size in sizes] == [28, 28, 8]


def test_beside_a_card_what_is_made_ahead_takes_few_threads(
    clips: Clips, small_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = list[int]()

    @contextmanager
    def result_frames(make: Callable[[], Any], most: int) -> Iterator[Any]:
        yield make()

    monkeypatch.setattr("avatar.engines.latentsync.engine.ahead", result_frames)
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    bare_job = Job(
        VideoFace(video=MediaRef(path="a.mp4")), Path("a.mp4"), "a.mp4", clips.sound(0.2), 5, (64, 64)
    )
    for device in ("cpu", "meta"):
        engine = small_engine()
        engine._plan = replace(engine._plan, device=torch.device(device))
        with engine.pictures(bare_job, clips.folder, EngineReport()):
            pass
    assert threads == [2], "on the processor they are left as they are"
