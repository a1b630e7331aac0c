"""The noise of an utterance is suppressed before it is recognised, and no digital silence is left."""

from __future__ import annotations

import random
from array import array

import pytest
from spoken_words import RATE_HZ, silence, speech, with_noise

pytest.importorskip("livekit.rtc", reason="needs the extra `voice`: make setup")

from agent.voice.noise import FLOOR, NoiseSuppressor


def power(sound: bytes) -> float:
    samples = array("h", sound)
    return sum(one * one for one in samples) / len(samples)


@pytest.mark.parametrize("block", [3200, 250], ids=["100 ms", "8 ms"])
def test_noise_goes_speech_stays_and_silence_gets_a_floor(block: int) -> None:
    lead = 32_000  # Bytes of the second before the speech.
    clean = silence(1.0) + speech("reload the persona nova", "rms") + silence(1.0)
    noisy = with_noise(clean, 20, "white", random.Random(1))  # noqa: S311
    found = []
    for sound in (clean, noisy):
        suppressor = NoiseSuppressor(RATE_HZ)
        found.append(b"".join(suppressor.clean(sound[at : at + block]) for at in range(0, len(sound), block)))
        assert len(sound) - len(found[-1]) < RATE_HZ // 50
    of_clean, of_noisy = found
    assert power(of_noisy[-lead // 2 :]) < power(noisy[-lead // 2 :]) / 4
    # In a quiet room nothing is taken away.
    assert power(of_clean[lead:-lead]) == pytest.approx(power(clean[lead:-lead]) + FLOOR**2, rel=0.02)
    assert power(of_noisy[lead:-lead]) > power(clean[lead:-lead]) / 4
    assert 0.8 * FLOOR**2 < power(of_clean[: lead // 2]) < 1.2 * FLOOR**2
