"""A voice worker with numbers in its pictures and tones for sentences: `python numbered_worker.py URL`.

A row of blocks at the top of each picture is the position in the sound that its lips show, in milliseconds,
0 while nothing is said; the row below is the moment of the picture on the monotonic clock, modulo 65 536 ms.
Whoever sees the picture and hears the tone can tell how far lips and sound are
apart. The rest of the worker is the real one; its token is in SOUNDSTAGE_VOICE_WORKER_TOKEN.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path[0] = str(Path(__file__).parents[2])

BLOCK = 16
BITS = 16
CYCLE_MS = 1 << BITS
TONE_HZ = 440
SILENCE_S = 0.4
LIMIT = 128
"""Between the brightness of a 0 and of a 1."""


def write_number(luma: Any, row: int, number: int) -> None:
    """Draws a number into a picture's brightness (height, width), the highest bit first."""
    rows = slice(row * BLOCK, (row + 1) * BLOCK)
    for place in range(BITS):
        bit = number >> (BITS - 1 - place) & 1
        luma[rows, place * BLOCK : (place + 1) * BLOCK] = 235 if bit else 16


def read_number(luma: Any, row: int) -> int:
    """Returns the number in a picture that was encoded and decoded."""
    rows = slice(row * BLOCK + 4, row * BLOCK + 12)
    bits = (luma[rows, place * BLOCK + 4 : place * BLOCK + 12].mean() > LIMIT for place in range(BITS))
    number = 0
    for bit in bits:
        number = 2 * number + bit
    return number


def tone(samples: int, hz: int) -> bytes:
    """Returns a tone that begins at once, 16-bit PCM."""
    return array(
        "h", (int(16_000 * math.sin(2 * math.pi * TONE_HZ * k / hz)) for k in range(samples))
    ).tobytes()


def number_pictures() -> None:
    """Replaces what draws and what speaks in this process."""
    from agent.voice.worker.link import SessionLink
    from agent.voice.worker.live_face import LiveFace, Picture

    pictures, begin, prepare, hush, speak = (
        LiveFace.pictures,
        LiveFace.begin,
        LiveFace.prepare,
        LiveFace.hush,
        SessionLink.speak,
    )
    spoken: list[tuple[float, float]] = []
    lengths: dict[int, float] = {}

    async def pictures_with_numbers(self: Any) -> AsyncIterator[Picture]:
        async for picture in pictures(self):
            luma = np.frombuffer(picture.data, np.uint8)[: picture.width * picture.height]
            luma = np.array(luma).reshape(picture.height, picture.width)
            at_s, length_s = spoken[-1] if spoken else (0.0, 0.0)
            position = picture.at_s - at_s
            write_number(luma, 0, round(1000 * position) if 0 < position < length_s else 0)
            write_number(luma, 1, round(1000 * picture.at_s) % CYCLE_MS)
            data = bytearray(picture.data)
            data[: luma.size] = luma.tobytes()
            yield dataclasses.replace(picture, data=memoryview(data))

    def note_prepared(self: Any, number: int, sound: Any) -> None:
        lengths[number] = sound.sheet["duration_ms"] / 1000
        prepare(self, number, sound)

    def note_begin(self: Any, number: int, at_s: float) -> None:
        spoken.append((at_s, lengths.pop(number, 0.0)))
        begin(self, number, at_s)

    def note_hush(self: Any) -> None:
        spoken.append((0.0, 0.0))
        lengths.clear()
        hush(self)

    async def speak_tone(self: Any, text: str) -> Any:
        sound = await speak(self, text)
        if sound is None:
            return None
        return dataclasses.replace(sound, pcm=tone(len(sound.pcm) // 2, sound.sample_hz))

    LiveFace.pictures, LiveFace.begin, LiveFace.prepare = pictures_with_numbers, note_begin, note_prepared  # type: ignore[method-assign]
    LiveFace.hush, SessionLink.speak = note_hush, speak_tone  # type: ignore[method-assign]


if __name__ == "__main__":
    number_pictures()
    from app import voice_worker

    sys.argv = [sys.argv[0], "--server-url", sys.argv[1], "--alone"]
    sys.exit(voice_worker.main())
