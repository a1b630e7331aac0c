"""The mouth matches the sound: encoded videos are tracked again and keep every limit at once."""

from pathlib import Path

import pytest
from avatar.engines.rig import known_characters
from avatar.measure import SyncReport, measure_sync
from avatar.spec import Face
from avatar.tracks import ControlTrack, Phone
from rendering import render

FACES = ("astronaut", "grace_hopper", *known_characters())
Spoken = tuple[ControlTrack, tuple[Phone, ...]]


def measured(face: Face, spoken: Spoken, size: tuple[int, int], folder: Path, cache: Path) -> SyncReport:
    video = folder / "said.mp4"
    render(face, spoken[0], size, video, cache)
    return measure_sync(video, *spoken)


@pytest.mark.parametrize("name", FACES)
def test_every_face_keeps_every_limit(
    name: str, faces: dict[str, Face], spoken: Spoken, tmp_path: Path, engine_cache: Path
) -> None:
    report = measured(faces[name], spoken, (640, 360), tmp_path, engine_cache)
    assert report.failures() == [], report
    assert report.not_judged() == []


def test_a_photo_keeps_every_limit_at_a_second_size(
    faces: dict[str, Face], spoken: Spoken, tmp_path: Path, engine_cache: Path
) -> None:
    report = measured(faces["grace_hopper"], spoken, (1280, 720), tmp_path, engine_cache)
    assert report.failures() == [], report


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)], ids=["720p", "1080p"])
@pytest.mark.parametrize("name", FACES)
def test_every_face_keeps_every_limit_at_full_size(
    name: str,
    size: tuple[int, int],
    faces: dict[str, Face],
    spoken: Spoken,
    tmp_path: Path,
    engine_cache: Path,
) -> None:
    report = measured(faces[name], spoken, size, tmp_path, engine_cache)
    assert report.failures() == [], report
    assert report.not_judged() == []
