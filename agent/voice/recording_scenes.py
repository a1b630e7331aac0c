"""Makes scenes of what was recorded: joins sentences, cuts long waits, brings people to the same loudness."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from avatar.spec import Box, MediaRef, Scene, TextOverlay
from numpy.typing import NDArray

from agent.transcription.recognition import wav_of
from agent.voice.recording_files import Entry, read_sound
from studio.personas.schemas import Persona
from studio.renders.specs import scene_of
from studio.scenes.schemas import SceneBody

LONGEST_PAUSE_MS = 1500
"""Longer waits are cut to this."""
JOINED_PAUSE_S = 0.6
"""Sentences of the presenter that follow each other so soon are one scene …"""
JOINED_S = 30.0
"""… of at most this length."""
LEAD_IN_MS, TAIL_MS = 400, 900
LEAST_SOUND_S = 0.2
WRITTEN_MS_PER_CHAR, LEAST_WRITTEN_MS, MOST_WRITTEN_MS = 55, 2000, 8000
MAX_WRITTEN = 2000
"""Characters that an overlay takes."""
WRITTEN_BOX = Box(x=0.1, y=0.78, width=0.8, height=0.14)
SPEECH_RMS = 0.1
"""Of full scale: people are brought to it, whatever their microphone."""
MAX_GAIN = 8.0
PEAK = 0.9
_MARKUP = re.compile(r"([\[\]*<>\\])")


@dataclass(frozen=True, slots=True)
class Part:
    """Holds what one side says without a break, and the pause after it."""

    entries: tuple[Entry, ...]
    pause_ms: int

    @property
    def is_of_person(self) -> bool:
        return self.entries[0].side == "person"

    @property
    def persona_id(self) -> str:
        return self.entries[0].persona_id

    @property
    def text(self) -> str:
        return " ".join(one.text for one in self.entries if one.text)

    @property
    def has_sound(self) -> bool:
        return any(one.sound for one in self.entries)

    def wav(self, folder: Path) -> bytes:
        """Returns its sound, with the pauses between its sentences."""
        pieces: list[NDArray[np.int16]] = []
        sample_hz = 0
        for number, entry in enumerate(self.entries):
            samples, sample_hz = read_sound(folder, entry)
            if number:
                silence_s = max(0.0, entry.began_at - self.entries[number - 1].ended_at)
                pieces.append(np.zeros(round(silence_s * sample_hz), np.int16))
            pieces.append(samples)
        sound = np.concatenate(pieces)
        return wav_of((_level(sound) if self.is_of_person else sound).tobytes(), sample_hz)


def parts_of(entries: Sequence[Entry]) -> Sequence[Part]:
    """Returns what was said, part by part; noises without words are left out."""
    useful = [one for one in entries if (one.text if not one.sound else one.seconds >= LEAST_SOUND_S)]
    groups: list[list[Entry]] = []
    for entry in useful:
        if groups and goes_on(groups[-1], entry):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    pauses = [
        round(min(max(0.0, after[0].began_at - before[-1].ended_at) * 1000, LONGEST_PAUSE_MS))
        for before, after in pairwise(groups)
    ]
    return [Part(tuple(one), pause) for one, pause in zip(groups, [*pauses, TAIL_MS], strict=False)]


def scene_of_part(number: int, part: Part, persona: Persona, sound: MediaRef | None) -> Scene:
    """Returns the scene in which the presenter says a part, or listens to it. What was written stands in the
    picture for as long as it takes to read.
    """
    body: dict[str, Any] = {"lead_in_ms": LEAD_IN_MS if number == 1 else 0, "tail_ms": part.pause_ms}
    if sound is None:
        reading_ms = WRITTEN_MS_PER_CHAR * len(part.text)
        body["duration_ms"] = min(max(LEAST_WRITTEN_MS, reading_ms), MOST_WRITTEN_MS)
        body["overlays"] = (TextOverlay(text=part.text[:MAX_WRITTEN], box=WRITTEN_BOX, align="centre"),)
    else:
        body |= {"audio": sound, "script": _MARKUP.sub(r"\\\1", part.text)}
    scene = scene_of(f"said-{number}", SceneBody(**body), persona)
    if sound is None:
        return scene
    of_person = part.is_of_person
    return scene.model_copy(update={"off_camera": of_person, "audio_from_voice": not of_person})


def goes_on(group: Sequence[Entry], entry: Entry) -> bool:
    """Returns whether a sentence belongs to the same scene as those before it."""
    if not group:
        return False
    last = group[-1]
    return (
        entry.side == last.side == "agent"
        and entry.persona_id == last.persona_id
        and bool(last.sound and entry.sound)
        and entry.began_at - last.ended_at <= JOINED_PAUSE_S
        and entry.ended_at - group[0].began_at <= JOINED_S
    )


def _level(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Returns speech at `SPEECH_RMS`, by the loudest tenth of its 20-ms pieces, and never clipped."""
    scaled = samples.astype(np.float32) / 32768
    pieces = scaled[: len(scaled) // 320 * 320].reshape(-1, 320)
    if not len(pieces):
        return samples
    rms = float(np.sort(np.sqrt((pieces**2).mean(axis=1)))[-max(1, len(pieces) // 10) :].mean())
    peak = float(np.abs(scaled).max())
    if rms == 0 or peak == 0:
        return samples
    gain = min(SPEECH_RMS / rms, MAX_GAIN, PEAK / peak)
    levelled: NDArray[np.int16] = np.rint(samples * gain).astype(np.int16)
    return levelled
