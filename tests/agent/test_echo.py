"""The agent's voice is taken out of the microphone's sound, and a person's stays."""

from __future__ import annotations

import random
from array import array

import pytest
from spoken_words import RATE_HZ, speech

from agent.voice.echo import EchoCanceller

rtc = pytest.importorskip("livekit.rtc", reason="needs the extra `voice`: make setup")
PLAYED_HZ = 24_000
DELAY_S = 0.06


def power(sound: array[int]) -> float:
    return sum(one * one for one in sound) / len(sound)


def resample(sound: array[int]) -> array[int]:
    """From the loudspeaker's rate to the microphone's."""
    return array("h", (sound[at * 3 // 2] for at in range(len(sound) * 2 // 3)))


def hear(person: bytes, blocks: tuple[int, int] = (480, 320)) -> tuple[array[int], array[int]]:
    """Returns what a microphone hears of the agent (and a person at the end), and the same cleaned."""
    sentence = speech("You have two projects, Tides and Harbour; Tides has six scenes.") * 4
    at_16 = array("h", sentence)
    played = array("h", (at_16[at * 2 // 3] for at in range(len(at_16) * 3 // 2)))
    echo = array("h", bytes(2 * round(DELAY_S * RATE_HZ))) + resample(played)
    chance = random.Random(1)  # noqa: S311
    recording = array("h", (one // 2 + chance.randrange(-20, 20) for one in echo[: len(at_16)]))
    voice = array("h", person)
    for at, one in enumerate(voice, start=len(recording) - len(voice)):
        recording[at] = max(-32768, min(32767, recording[at] + one))
    canceller = EchoCanceller(RATE_HZ, PLAYED_HZ)
    canceller.set_delay(DELAY_S)
    cleaned = bytearray()
    for number in range(len(recording) // blocks[1]):
        canceller.play(played[number * blocks[0] : (number + 1) * blocks[0]].tobytes())
        cleaned += canceller.clean(recording[number * blocks[1] : (number + 1) * blocks[1]].tobytes())
    return recording, array("h", bytes(cleaned))


@pytest.mark.parametrize("blocks", [(480, 320), (360, 240), (510, 340)], ids=["20 ms", "15 ms", "21 ms"])
def test_the_echo_goes_whatever_the_blocks_of_the_devices(blocks: tuple[int, int]) -> None:
    recording, cleaned = hear(b"", blocks)
    second_half = slice(len(cleaned) // 2, None)
    assert len(recording) - len(cleaned) < RATE_HZ // 10
    assert power(cleaned[second_half]) < power(recording[second_half]) / 100


def test_a_person_over_it_stays() -> None:
    person = speech("stop please", "rms")
    _, alone = hear(b"")
    _, with_person = hear(person)
    last = slice(-(len(person) // 2), None)
    assert power(with_person[last]) > 20 * power(alone[last])
