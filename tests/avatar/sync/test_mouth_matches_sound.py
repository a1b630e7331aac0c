"""The mouth matches the sound: encoded videos are tracked again and keep every limit at once."""

from pathlib import Path

import pytest
from avatar.engines.rig.characters import NAMES
from avatar.judge.video_measures import SyncReport, judge_sync, watch
from avatar.spec import Face
from avatar.tracks import ControlTrack, Phone
from backgrounds import background_ssim
from rendering import not_judged, render
from video_limits import sync_failures

FACES = ("astronaut", "grace_hopper", *NAMES)
Spoken = tuple[ControlTrack, tuple[Phone, ...]]


def measure_speaker(
    face: Face, speech_and_track: Spoken, size: tuple[int, int], folder: Path, cache: Path
) -> SyncReport:
    video = folder / "said.mp4"
    render(face, speech_and_track[0], size, video, cache)
    return judge_sync(watch(video), *speech_and_track, background_ssim=background_ssim(video))


@pytest.mark.parametrize("name", FACES)
def test_every_face_keeps_every_limit(
    name: str, faces: dict[str, Face], speech_and_track: Spoken, tmp_path: Path, engine_cache: Path
) -> None:
    report = measure_speaker(faces[name], speech_and_track, (640, 360), tmp_path, engine_cache)
    assert sync_failures(report) == [], report
    assert not_judged(report) == []


def test_a_photo_keeps_every_limit_at_a_second_size(
    faces: dict[str, Face], speech_and_track: Spoken, tmp_path: Path, engine_cache: Path
) -> None:
    report = measure_speaker(faces["grace_hopper"], speech_and_track, (1280, 720), tmp_path, engine_cache)
    assert sync_failures(report) == [], report


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)], ids=["720p", "1080p"])
@pytest.mark.parametrize("name", FACES)
def test_every_face_keeps_every_limit_at_full_size(
    name: str,
    size: tuple[int, int],
    faces: dict[str, Face],
    speech_and_track: Spoken,
    tmp_path: Path,
    engine_cache: Path,
) -> None:
    report = measure_speaker(faces[name], speech_and_track, size, tmp_path, engine_cache)
    assert sync_failures(report) == [], report
    assert not_judged(report) == []
