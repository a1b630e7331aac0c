"""The motion engine on clips with a known pose: the mouth says the words, all else stays the source's."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from avatar.engines.mesh.mouth_fields import MouthPose
from avatar.engines.motion import MotionEngine, open_motion
from avatar.engines.motion import engine as engine_module
from avatar.errors import AvatarError, InvalidInput
from avatar.judge.video_measures import frames_of, judge_sync, watch
from avatar.spec import MediaRef, VideoFace
from avatar.tracks import ControlTrack, Phone
from backgrounds import background_ssim, ssim_in_mask
from clipmaker import Clip, truncate
from rendering import local, not_judged, render
from video_limits import sync_failures

SIZE = (854, 480)
Spoken = tuple[ControlTrack, tuple[Phone, ...]]


def face(path: Path, **more: object) -> VideoFace:
    return VideoFace.model_validate({"video": MediaRef(path=str(path)), **more})


def open_engine(
    path: Path, cache: Path, *, size: tuple[int, int] = SIZE, alpha: bool = False, **more: object
) -> MotionEngine:
    return open_motion(face(path, **more), size, 25, resolve=local, cache=cache, alpha=alpha)


def eyes_aside(control: ControlTrack) -> ControlTrack:
    """Blinks are the person's own: the engine does not drive them, so they are not judged."""
    return replace(control, curves=control.curves | {"blink": np.zeros_like(control["blink"])})


@pytest.mark.parametrize("name", ["talking", pytest.param("smiling", marks=pytest.mark.slow)])
def test_the_mouth_says_the_new_words_whatever_the_person_did(
    name: str, request: pytest.FixtureRequest, speech_and_track: Spoken, tmp_path: Path, engine_cache: Path
) -> None:
    clip: Clip = request.getfixturevalue(name)
    video = tmp_path / "said.mp4"
    report = render(face(clip.path), speech_and_track[0], SIZE, video, engine_cache)
    mouth_report = judge_sync(
        watch(video),
        eyes_aside(speech_and_track[0]),
        speech_and_track[1],
        background_ssim=background_ssim(video),
    )
    assert sync_failures(mouth_report) == [], mouth_report
    assert not_judged(mouth_report) == ["blink_r"]
    assert report.lost_face_frames == []


def test_the_persons_own_talking_would_not_pass(talking: Clip, speech_and_track: Spoken) -> None:
    untouched = judge_sync(watch(talking.path), eyes_aside(speech_and_track[0]), speech_and_track[1])
    assert len(sync_failures(untouched)) >= 4


def test_upper_face_and_background_are_the_sources_pixel_for_pixel(
    talking: Clip, short: Spoken, engine_cache: Path
) -> None:
    sources = list(frames_of(talking.path))
    seen = watch(sources[: short[0].frames])
    changed = 0
    with closing(open_engine(talking.path, engine_cache)) as engine:
        for index, item in enumerate(engine.items(short[0])):
            drawn, source, points = engine.draw(item).pixels, sources[index], seen.landmarks[index]
            different = np.abs(drawn.astype(int) - source).max(axis=2) > 0
            nose = int(points[6, 1])
            left, right = points[:468, 0].min() - 6, points[:468, 0].max() + 6
            assert not different[:nose].any(), f"above the middle of the nose in frame {index}"
            assert not different[:, : int(left)].any()
            assert not different[:, int(right) :].any()
            changed += int(different.any())
    assert changed > 0.9 * short[0].frames


def test_upper_face_and_background_survive_the_encoder(
    talking: Clip, short: Spoken, tmp_path: Path, engine_cache: Path
) -> None:
    video = tmp_path / "said.mp4"
    render(face(talking.path), short[0], SIZE, video, engine_cache)
    drawn, sources = list(frames_of(video)), list(frames_of(talking.path))
    mouth = watch(sources[:1]).landmarks[0]
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[: int(mouth[6, 1])] = True
    for index in range(0, short[0].frames, 8):
        assert ssim_in_mask(drawn[index], sources[index], mask) > 0.97


def test_a_turned_head_a_passing_hand_and_an_empty_room_do_not_stop_the_job(
    eventful: Clip, speech_and_track: Spoken, engine_cache: Path
) -> None:
    sources = list(frames_of(eventful.path))
    with closing(open_engine(eventful.path, engine_cache)) as engine:
        touched = [
            bool((engine.draw(item).pixels != sources[index]).any())
            for index, item in enumerate(engine.items(speech_and_track[0]))
        ]
        report = engine.report()
    first, last = eventful.absent[0]
    ((lost_first, lost_last),) = [span for span in report.lost_face_frames if span[1] - span[0] > 10]
    assert (lost_first, lost_last) == (pytest.approx(first, abs=1), pytest.approx(last, abs=1))
    assert not any(touched[first:last]), "no mouth may hang in an empty room"
    hand = round(1.2 * 25)
    assert not any(touched[hand - 1 : hand + 2]), "no mouth may be painted on a hand"
    assert all(touched[4:10])
    assert all(touched[last + 6 : last + 14])
    assert report.facts["largest_yaw_deg"] > 30


def test_a_second_render_needs_no_tracker(
    talking: Clip, short: Spoken, tmp_path: Path, engine_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def items(count: int) -> list[np.ndarray]:
        with closing(open_engine(talking.path, engine_cache)) as engine:
            return [
                engine.draw(item).pixels
                for _, item in zip(range(count), engine.items(short[0]), strict=False)
            ]

    first = items(6)

    def unavailable() -> None:
        raise AssertionError("the tracker was opened again")

    monkeypatch.setattr(engine_module, "open_tracker", unavailable)
    for again, before in zip(items(6), first, strict=True):
        assert np.array_equal(again, before)


def test_the_inside_of_a_mouth_is_kept_for_the_next_render(
    smiling: Clip, short: Spoken, engine_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth of a smile among them; a file that was cut short is made anew."""

    def wide_open() -> tuple[np.ndarray, dict[str, object]]:
        with (
            closing(open_engine(smiling.path, engine_cache)) as engine,
            closing(engine.items(short[0])) as items,
        ):
            item = replace(next(items), pose=MouthPose(jaw=0.6, raise_=0.5))
            return engine.draw(item).pixels, engine.report().facts

    first, facts = wide_open()
    assert "own_teeth_from_step" in facts
    for cache_file in engine_cache.rglob("mouth-*.npz"):
        cache_file.write_bytes(cache_file.read_bytes()[:1000])
    assert np.array_equal(wide_open()[0], first)

    def unavailable(*_: object) -> None:
        raise AssertionError("the footage was searched again")

    monkeypatch.setattr(engine_module.MouthInterior, "from_picture", unavailable)
    again, facts_again = wide_open()
    assert np.array_equal(again, first) and facts_again == facts


@pytest.mark.parametrize(("index", "side"), [(None, "left"), (0, "left"), (1, "right")])
def test_among_several_faces_the_chosen_one_is_kept(
    index: int | None, side: str, company: Path, short: Spoken, tmp_path: Path
) -> None:
    with closing(open_engine(company, tmp_path, face_index=index)) as engine:
        places = [float(item.points[1, 0]) for item in engine.items(short[0]) if item.points is not None]
    assert len(places) == short[0].frames
    assert all((place < SIZE[0] / 2) == (side == "left") for place in places)


def test_speech_longer_than_the_video_swings_back_and_forth(
    talking: Clip, speech_and_track: Spoken, tmp_path: Path
) -> None:
    chosen = {"start_ms": 400, "end_ms": 1600}
    with closing(open_engine(talking.path, tmp_path, **chosen)) as engine:
        places = np.array([item.points[168, :2] for item in engine.items(speech_and_track[0])])
    assert len(places) == speech_and_track[0].frames
    assert np.hypot(*np.diff(places, axis=0).T).max() < 0.12 * 92, "the head jumps"


def test_a_smaller_picture_is_cut_round_the_face(talking: Clip, short: Spoken, engine_cache: Path) -> None:
    with closing(open_engine(talking.path, engine_cache, size=(360, 480))) as engine:
        item = next(engine.items(short[0]))
        assert engine.draw(item).pixels.shape == (480, 360, 3)
        assert item.points[1, 0] == pytest.approx(180, abs=25)


def test_without_background_the_room_is_transparent_and_the_face_is_not(
    talking: Clip, short: Spoken, engine_cache: Path
) -> None:
    with closing(open_engine(talking.path, engine_cache, alpha=True)) as engine:
        item = next(engine.items(short[0]))
        pixels = engine.draw(item).pixels
    assert pixels.shape[2] == 4
    assert pixels[:40, :40, 3].max() == 0
    x, y = item.points[4, :2].astype(int)
    assert pixels[y, x, 3] == 255


def test_a_broken_upload_is_used_as_far_as_it_goes(
    talking: Clip, speech_and_track: Spoken, tmp_path: Path
) -> None:
    broken = truncate(talking, tmp_path / "broken.mp4", 0.5)
    with closing(open_engine(broken, tmp_path / "cache")) as engine:
        assert sum(1 for _ in engine.items(speech_and_track[0])) == speech_and_track[0].frames
        assert "video.truncated" in [notice.code for notice in engine.report().notices]


def test_a_video_without_a_face_is_refused(clips: Path, short: Spoken, tmp_path: Path) -> None:
    from clipmaker import write_mp4
    from clipmaker.scene import room

    write_mp4(tmp_path / "room.mp4", iter([room((320, 180))] * 12), 25)
    engine = open_engine(tmp_path / "room.mp4", tmp_path, size=(320, 180))
    with closing(engine), pytest.raises(InvalidInput) as caught:
        next(engine.items(short[0]))
    assert caught.value.code == "face.not_found"
    assert caught.value.hint


@pytest.mark.parametrize("chosen", [{"start_ms": 90_000}, {"start_ms": 800, "end_ms": 300}])
def test_a_range_outside_the_video_is_refused(
    chosen: dict[str, int], talking: Clip, short: Spoken, tmp_path: Path
) -> None:
    engine = open_engine(talking.path, tmp_path, **chosen)
    with closing(engine), pytest.raises(AvatarError) as caught:
        next(engine.items(short[0]))
    assert caught.value.code == "video.empty_range"
