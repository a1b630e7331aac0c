"""Clips of people who move and talk, and the sentence they are made to say."""

from pathlib import Path

import pytest
from avatar.tracks import ControlTrack, Phone
from clipmaker import Clip, Motion, Occluder, make_clip, two_faces
from rendering import say

SENTENCE = "My mama saw two blue moons. Apples, Bob, please!"
SIZE = (854, 480)

Spoken = tuple[ControlTrack, tuple[Phone, ...]]


@pytest.fixture(scope="session")
def speech_and_track(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    return say(SENTENCE, tmp_path_factory.mktemp("voice"))


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    """A second and a half."""
    return say("Mama, apples!", tmp_path_factory.mktemp("voice"), lead_in_ms=100)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def talking(clips: Path) -> Clip:
    """She talks on her own, moves and turns a little."""
    motion = Motion(yaw_deg=10, pitch_deg=3, roll_deg=3, shift=0.2, mouth_e=0.15)
    return make_clip(clips / "talking.mp4", "grace_hopper", seconds=4.8, motion=motion)


@pytest.fixture(scope="session")
def smiling(clips: Path) -> Clip:
    """She smiles with bared teeth and holds her mouth open."""
    motion = Motion(yaw_deg=8, pitch_deg=2, roll_deg=3, mouth_hold_e=0.05)
    return make_clip(clips / "smiling.mp4", "astronaut", seconds=4.8, motion=motion)


@pytest.fixture(scope="session")
def eventful(clips: Path) -> Clip:
    """A hand passes at 1.2 s, she turns 40 degrees both ways, blurred, and is away from 3 s to 3.8 s."""
    return make_clip(
        clips / "eventful.mp4",
        "grace_hopper",
        seconds=4.8,
        motion=Motion(yaw_deg=40, pitch_deg=3, mouth_e=0.1, blur_steps=2),
        occluder=Occluder(0.6, 1.8),
        absent_s=(3.0, 3.8),
    )


@pytest.fixture(scope="session")
def company(clips: Path) -> Path:
    return two_faces(clips / "company.mp4")
