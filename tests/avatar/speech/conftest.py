"""Speech of one scene, a recording whose words are known, and a speech service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import EspeakVoice, Scene
from avatar.speech import speak
from avatar.tracks import SpeechTrack

sys.path.insert(0, str(Path(__file__).parent))

from recordings import SENTENCES, Speaker
from speech_service import SpeechService, running_service


@pytest.fixture
def say(tmp_path: Path) -> Speaker:
    """`say(script, **scene fields)`: the speech of one scene."""

    def speak_script(script: str | None, **fields: Any) -> SpeechTrack:
        folder = tmp_path / f"scene{len(list(tmp_path.iterdir()))}"
        return speak(Scene(id="s", script=script, **fields), folder, lambda ref: Path(ref.path or ""))

    return speak_script


@pytest.fixture(scope="session")
def nova(tmp_path_factory: pytest.TempPathFactory) -> SpeechTrack:
    """SENTENCES by espeak-ng: a recording whose words and phonemes are known."""
    return speak(
        Scene(id="nova", script=SENTENCES, voice=EspeakVoice()),
        tmp_path_factory.mktemp("nova"),
        lambda ref: Path(),
    )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SpeechService]:
    with running_service(tmp_path / "service") as state:
        yield state
