from __future__ import annotations

import numpy as np
from avatar.engines.latentsync.gate import gate, speech_steps

RATE = 16_000


def spoken(parts: list[tuple[float, float]]) -> np.ndarray:
    """(seconds, loudness) in a row, with a hiss below all of it."""
    generator = np.random.default_rng(1)
    made = []
    for seconds, loudness in parts:
        at = np.arange(int(seconds * RATE)) / RATE
        made.append(loudness * np.sin(2 * np.pi * 180 * at) + 0.0008 * generator.standard_normal(len(at)))
    return np.concatenate(made).astype(np.float32)


def test_pauses_are_silenced_and_speech_is_untouched() -> None:
    sound = spoken([(1.0, 0.4), (1.0, 0.0), (1.0, 0.3)])
    heard = sound.copy()
    gate(heard, speech_steps(sound))
    assert np.array_equal(heard[: int(0.98 * RATE)], sound[: int(0.98 * RATE)])
    assert not heard[int(1.2 * RATE) : int(1.85 * RATE)].any()
    assert np.array_equal(heard[int(2.0 * RATE) :], sound[int(2.0 * RATE) :])


def test_the_gaps_between_syllables_stay_open() -> None:
    sound = spoken([(0.4, 0.4), (0.12, 0.0), (0.4, 0.4)])
    assert speech_steps(sound).all()


def test_quiet_ends_of_words_are_kept_and_a_quiet_room_alone_is_not() -> None:
    fading = spoken([(0.5, 0.4), (0.2, 0.012), (1.0, 0.0)])
    speech = speech_steps(fading)
    assert speech[: int(0.7 * 50)].all()
    assert not speech[int(1.0 * 50) :].any()
    assert not speech_steps(spoken([(2.0, 0.0)])).any()
    assert not len(speech_steps(np.zeros(10, np.float32)))


def test_blocks_of_a_long_sound_join_without_a_step() -> None:
    sound = spoken([(59.5, 0.3), (2.0, 0.0), (59.5, 0.3)])
    heard = sound.copy()
    gate(heard, speech_steps(sound))
    assert np.array_equal(heard[: 59 * RATE], sound[: 59 * RATE])
    assert not heard[60 * RATE : 61 * RATE].any()
