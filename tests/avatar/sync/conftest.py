"""One spoken sentence and the faces that say it."""

from pathlib import Path

import cv2
import pytest
from avatar.engines.rig.characters import NAMES
from avatar.spec import Face, MediaRef, PhotoFace, RigFace
from avatar.tracks import ControlTrack, Phone
from clipmaker.person import photo
from rendering import say

SENTENCE = "My mama saw two blue moons. Apples, Bob, please!"

Spoken = tuple[ControlTrack, tuple[Phone, ...]]


@pytest.fixture(scope="session")
def speech_and_track(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    return say(SENTENCE, tmp_path_factory.mktemp("voice"))


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Face]:
    folder = tmp_path_factory.mktemp("photos")
    found: dict[str, Face] = {}
    for name in ("astronaut", "grace_hopper"):
        cv2.imwrite(str(folder / f"{name}.png"), photo(name))
        found[name] = PhotoFace(image=MediaRef(path=str(folder / f"{name}.png")))
    return found | {name: RigFace(character=name) for name in NAMES}
