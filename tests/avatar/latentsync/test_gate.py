from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from avatar.engines.latentsync.sound import STEP, Sound, SoundFile, speech_steps, without_pauses

RATE = 16_000


def speech_of(parts: list[tuple[float, float]]) -> np.ndarray:
    """(seconds, loudness) in a row, with a hiss below all of it."""
    generator = np.random.default_rng(1)
    blocks = []
    for seconds, loudness in parts:
        at = np.arange(int(seconds * RATE)) / RATE
        blocks.append(loudness * np.sin(2 * np.pi * 180 * at) + 0.0008 * generator.standard_normal(len(at)))
    return np.concatenate(blocks).astype(np.float32)


def apply_gate(sound: Sound) -> np.ndarray:
    return np.concatenate(list(without_pauses(sound, speech_steps(sound))))


def test_pauses_are_silenced_and_speech_is_untouched() -> None:
    sound = speech_of([(1.0, 0.4), (1.0, 0.0), (1.0, 0.3)])
    audible = apply_gate(sound)
    assert np.array_equal(audible[: int(0.98 * RATE)], sound[: int(0.98 * RATE)])
    assert not audible[int(1.2 * RATE) : int(1.85 * RATE)].any()
    assert np.array_equal(audible[int(2.0 * RATE) :], sound[int(2.0 * RATE) :])


def test_the_gaps_between_syllables_stay_open() -> None:
    sound = speech_of([(0.4, 0.4), (0.12, 0.0), (0.4, 0.4)])
    assert speech_steps(sound).all()


def test_quiet_ends_of_words_are_kept_and_a_quiet_room_alone_is_not() -> None:
    fading = speech_of([(0.5, 0.4), (0.2, 0.012), (1.0, 0.0)])
    speech = speech_steps(fading)
    assert speech[: int(0.7 * 50)].all()
    assert not speech[int(1.0 * 50) :].any()
    assert not speech_steps(speech_of([(2.0, 0.0)])).any()
    assert not len(speech_steps(np.zeros(10, np.float32)))


def test_blocks_of_a_long_sound_join_without_a_step() -> None:
    sound = speech_of([(59.5, 0.3), (2.0, 0.0), (59.5, 0.3)])
    audible = apply_gate(sound)
    assert np.array_equal(audible[: 59 * RATE], sound[: 59 * RATE])
    assert not audible[60 * RATE : 61 * RATE].any()


@pytest.mark.parametrize("samples", [0, 1, STEP - 1, STEP, 10 * RATE, 20 * RATE + 5, 31 * RATE + 777])
def test_blocks_of_a_file_are_the_whole_sound_to_the_bit(tmp_path: Path, samples: int) -> None:
    sound = speech_of([(4.3, 0.4), (3.1, 0.0), (0.07, 0.2), (2.5, 0.0)] * 4)[:samples]
    path = tmp_path / "sound.f32"
    sound.tofile(path)
    speech = speech_steps(sound)
    assert np.array_equal(speech_steps(SoundFile(path)), speech)
    audible = apply_gate(SoundFile(path))
    if len(speech):
        places = (np.arange(len(speech)) + 0.5) * STEP
        sound = sound * np.interp(np.arange(samples), places, speech).astype(np.float32)
    assert audible.tobytes() == sound.tobytes()


def test_the_last_samples_of_a_pause_are_silenced_too() -> None:
    sound = speech_of([(5.0, 0.3), (5.01, 0.0)])
    assert len(sound) % STEP
    assert not apply_gate(sound)[9 * RATE :].any()
