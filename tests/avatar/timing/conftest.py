"""A spoken text whose phonemes are known, and speech tracks of any length."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from avatar.spec import EspeakVoice, Scene
from avatar.speech import speak
from avatar.tracks import Phone, SpeechTrack, Word

TEXT = (
    "Bob may move my arm above the map. Five very brave wolves found a huge blue moon. "
    "[pause 900ms] Is *this* easy? Please show me what you see, before the people leave."
)

LongSpeech = Callable[[float], SpeechTrack]


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> SpeechTrack:
    return speak(
        Scene(id="timing", script=TEXT, voice=EspeakVoice()),
        tmp_path_factory.mktemp("timing"),
        lambda ref: Path(),
    )


@pytest.fixture(scope="session")
def long_speech(speech: SpeechTrack, tmp_path_factory: pytest.TempPathFactory) -> LongSpeech:
    """The spoken text over and over, for so many minutes."""
    folder = tmp_path_factory.mktemp("long")

    def repeat_script(minutes: float) -> SpeechTrack:
        times = round(minutes * 60_000 / speech.duration_ms)
        path = folder / f"{minutes}.wav"
        with wave.open(str(speech.wav), "rb") as source, wave.open(str(path), "wb") as target:
            target.setparams(source.getparams())
            samples = source.readframes(source.getnframes())
            for _ in range(times):
                target.writeframes(samples)
        offsets = [number * speech.duration_ms for number in range(times)]
        return SpeechTrack(
            wav=path,
            sample_rate_hz=speech.sample_rate_hz,
            duration_ms=speech.duration_ms * times,
            words=tuple(
                Word(word.text, word.start_ms + offset, word.end_ms + offset, word.emphasis)
                for offset in offsets
                for word in speech.words
            ),
            phones=tuple(
                Phone(phone.ipa, phone.start_ms + offset, phone.end_ms + offset)
                for offset in offsets
                for phone in speech.phones
            ),
        )

    return repeat_script


@pytest.fixture
def speech_of_tones(tmp_path: Path) -> Callable[..., SpeechTrack]:
    """`toned((ipa, ms), ...)`: a steady tone under phones of one's own choice; "" is silent."""

    def track(*sounds: tuple[str, int]) -> SpeechTrack:
        rate = 16_000
        path = tmp_path / "tone.wav"
        phones: list[Phone] = []
        parts: list[np.ndarray] = []
        at = 0
        for ipa, length_ms in sounds:
            phones.append(Phone(ipa, at, at + length_ms))
            time = np.arange(length_ms * rate // 1000) / rate
            parts.append((8000 if ipa else 0) * np.sin(2 * np.pi * 200 * time))
            at += length_ms
        with wave.open(str(path), "wb") as target:
            target.setnchannels(1)
            target.setsampwidth(2)
            target.setframerate(rate)
            target.writeframes(np.concatenate(parts).astype("<i2").tobytes())
        return SpeechTrack(path, rate, at, (), tuple(phones))

    return track
