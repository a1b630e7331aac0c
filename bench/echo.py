"""Counts how often the agent takes its own voice for a person's, with and without echo cancelling.

A loudspeaker plays minutes of synthetic speech into rooms of a seeded generator (delay, level, reverberation,
noise); the voice worker's detector listens to the microphone. Then people interrupt over the agent's voice.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADState

sys.path.append(str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))

from spoken_words import RATE_HZ, speech

from agent.voice.echo import EchoCanceller
from agent.voice.worker.service import DETECTOR
from bench.results import add_figure, add_json_option, percentile, write_figures

SENTENCES = (
    "Your video of the harbour is ready; it lasts forty two seconds.",
    "I have made three scenes. Shall I render them now?",
    "There are five presenters: Nova, Milo, Vera, Amina and Olga.",
    "The render waits for a worker, because all of them are busy.",
    "You have two projects, Tides and Harbour; Tides has six scenes.",
    "Say the name of a presenter, or ask what else I can do for you.",
)
INTERRUPTIONS = ("stop please", "wait a moment", "what videos do I have", "make it shorter")
VOICES = ("slt", "rms", "awb", "kal16")
WINDOW = 512
"""Samples that the detector takes at once: 32 ms."""
BLOCK = 320
LOUDEST = 8000.0
NOISE = 20.0
SETTLED_S = 3.0
"""The canceller learns the room at the beginning of a session."""

Sound = NDArray[np.int16]


@dataclass(frozen=True)
class Room:
    """The way from a loudspeaker to a microphone: delay, level against the loudspeaker, time of decay."""

    delay_s: float
    level_db: float
    decay_s: float


ROOMS = (
    Room(0.02, -3, 0.02), Room(0.06, -6, 0.04), Room(0.1, -10, 0.08), Room(0.18, -6, 0.05),
    Room(0.25, -15, 0.12),
)  # fmt: skip


def agent_voice(seconds: float) -> NDArray[np.float64]:
    """Returns answers with short pauses between them, at 16 kHz."""
    parts: list[NDArray[np.float64]] = []
    while sum(map(len, parts)) < seconds * RATE_HZ:
        number = len(parts) // 2
        sentence = speech(SENTENCES[number % len(SENTENCES)], VOICES[number % len(VOICES)])
        parts += [np.frombuffer(sentence, np.int16).astype(np.float64), np.zeros(RATE_HZ // 3)]
    sound = np.concatenate(parts)
    return np.asarray(sound * LOUDEST / np.abs(sound).max())


def record(room: Room, played: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    times = np.arange(round(5 * room.decay_s * RATE_HZ)) / RATE_HZ
    reflections = chance.standard_normal(len(times)) * np.exp(-times / room.decay_s)
    reflections /= np.sqrt(np.square(reflections).sum())
    echo = np.convolve(played, reflections)[: len(played)] * 10 ** (room.level_db / 20)
    delay = round(room.delay_s * RATE_HZ)
    delayed = np.concatenate([np.zeros(delay), echo])[: len(played)]
    return np.asarray(delayed + chance.standard_normal(len(played)) * NOISE)


def to_pcm(sound: NDArray[np.float64]) -> Sound:
    return sound.clip(-32768, 32767).astype(np.int16)


def cancel(recording: Sound, played: Sound) -> tuple[Sound, float]:
    """Returns the microphone's sound without the echo, and the processor seconds that it took."""
    canceller = EchoCanceller(RATE_HZ, RATE_HZ)
    began_s, cleaned = time.process_time(), bytearray()
    for at in range(0, len(recording), BLOCK):
        canceller.play(played[at : at + BLOCK].tobytes())
        cleaned += canceller.clean(recording[at : at + BLOCK].tobytes())
    used_s = time.process_time() - began_s
    return np.frombuffer(bytes(cleaned), np.int16), used_s


async def speech_windows(sound: Sound) -> list[bool]:
    """Returns for each window whether the detector takes it for a person's speech."""
    detector = SileroVADAnalyzer(params=DETECTOR)
    detector.set_sample_rate(RATE_HZ)
    windows = []
    for at in range(0, len(sound) - WINDOW + 1, WINDOW):
        state = await detector.analyze_audio(sound[at : at + WINDOW].tobytes())
        windows.append(state in (VADState.SPEAKING, VADState.STOPPING))
    return windows


def interruptions(played: NDArray[np.float64]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yields where a person begins to speak over the agent, every eight seconds, and what they say."""
    for number, at in enumerate(range(8 * RATE_HZ, len(played) - 4 * RATE_HZ, 8 * RATE_HZ)):
        sound = speech(INTERRUPTIONS[number % len(INTERRUPTIONS)], VOICES[(number + 1) % len(VOICES)])
        person = np.frombuffer(sound, np.int16).astype(np.float64)
        yield at, person * LOUDEST / np.abs(person).max()


async def measure(minutes: float) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"raw": [], "cancelled": [], "delays": [], "processor": []}
    per_room_s = minutes * 60 / len(ROOMS)
    settled = round(SETTLED_S * RATE_HZ / WINDOW)
    for number, room in enumerate(ROOMS):
        played = agent_voice(per_room_s)
        recording = record(room, played, np.random.default_rng(number))
        found["raw"] += await speech_windows(to_pcm(recording))
        cleaned, used_s = cancel(to_pcm(recording), to_pcm(played))
        found["processor"].append(used_s / (len(cleaned) / RATE_HZ))
        found["cancelled"] += (await speech_windows(cleaned))[settled:]
        spoken = recording.copy()
        begun = []
        for at, person in interruptions(played):
            spoken[at : at + len(person)] += person
            begun.append((at, len(person)))
        windows = await speech_windows(cancel(to_pcm(spoken), to_pcm(played))[0])
        for at, length in begun:
            first = at // WINDOW
            last = (at + length) // WINDOW + 1
            delays = [one - first for one in range(first, last) if windows[one : one + 1] == [True]]
            found["delays"].append(delays[0] * WINDOW / RATE_HZ * 1000 if delays else float("nan"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="of the agent's voice (default 10)")
    add_json_option(parser)
    options = parser.parse_args()
    found = asyncio.run(measure(options.minutes))
    raw, cleaned = (100 * sum(found[name]) / len(found[name]) for name in ("raw", "cancelled"))
    delays = [one for one in found["delays"] if one == one]
    share = 100 * len(delays) / len(found["delays"])
    print(f"{options.minutes:g} minutes of the agent's voice in {len(ROOMS)} rooms:")
    print(f"  taken for a person's speech: {raw:.1f} % of windows, {cleaned:.2f} % with the echo cancelled")
    print(f"  {len(found['delays'])} people who interrupt: {share:.1f} % noticed,", end=" ")
    print(f"p50 {percentile(delays, 0.5):.0f} ms, p95 {percentile(delays, 0.95):.0f} ms")
    print(f"  processor: {100 * max(found['processor']):.1f} % of a core")
    add_figure("agent's voice taken for speech, echo cancelled", cleaned, "% of windows", goal="<= 1")
    add_figure("agent's voice taken for speech, as heard", raw, "% of windows")
    add_figure("interruptions noticed over the agent", share, "%")
    add_figure("interruption to its detection, p95", percentile(delays, 0.95), "ms")
    write_figures("echo", options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
