"""Speech from Piper, run as a separate program with a voice file of the operator; used by `speak`.

The package piper-tts 1.8 or later speaks in a warm child process that tells the times of its phones
(`piper_process`). Any other Piper is started for each passage; its wire form is the command line that
rhasspy/piper and piper1-gpl share: `-m` the voice, `-c` its card, `-f` the sound, `--length_scale` and `-s`
the speaker; the text is one line on standard input.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from avatar.engines.weights.store import ModelStore, models_folder
from avatar.engines.weights.voice_card import card_of, read_voice_card
from avatar.errors import InvalidInput, Unavailable
from avatar.spec import PiperVoice
from avatar.speech.markup import Script, SpeechTask
from avatar.speech.passages import SpokenTimes, speak_in_passages
from avatar.speech.piper_process import (
    SECONDS_PER_CHARACTER,
    START_TIMEOUT_S,
    NoWarmVoice,
    piper_error,
    speak_warm,
    too_slow,
)
from avatar.tracks import SpeechTrack

PROGRAM_VARIABLE = "AVATAR_PIPER"
ROLE = "piper.voice"


def piper_program(environment: Mapping[str, str] = os.environ) -> str | None:
    """The program of `$AVATAR_PIPER`, else of PATH."""
    return shutil.which(environment.get(PROGRAM_VARIABLE) or "piper")


def from_piper(script: Script, voice: PiperVoice, task: SpeechTask) -> SpeechTrack:
    """Speak a script with Piper.

    Raises Unavailable `weights.missing`, `speech.piper_missing`, `speech.piper_failed`, `speech.timeout`;
    InvalidInput `weights.no_voice_card`, `speech.unknown_speaker`.
    """
    path = ModelStore(models_folder().absolute()).require(ROLE, voice.voice)
    card = read_voice_card(card_of(path))
    if voice.speaker is not None and voice.speaker >= card.speakers:
        raise InvalidInput(
            "speech.unknown_speaker",
            f"The voice {voice.voice} has {card.speakers} speakers; there is no number {voice.speaker}.",
            f"Choose one from 0 to {card.speakers - 1}, or leave it out.",
        )
    program = piper_program()
    if program is None:
        raise Unavailable(
            "speech.piper_missing",
            "The voice needs Piper, and there is no such program here.",
            f"Install piper so that it is found in PATH, or name it in {PROGRAM_VARIABLE}.",
        )
    command = [program, "-m", str(path), "-c", str(card_of(path))]
    if voice.speaker is not None:
        command += ["-s", str(voice.speaker)]

    def say(words: Sequence[str], pace: float, answer: Path) -> SpokenTimes | None:
        try:
            return speak_warm(program, path, words, voice.speed * pace, voice.speaker, answer)
        except NoWarmVoice:
            speed = voice.speed * pace
            length = [] if speed == 1.0 else ["--length_scale", f"{1 / speed:.4f}"]
            _run([*command, *length, "-f", str(answer)], " ".join(words), answer)
            return None

    return speak_in_passages(script, say, "Piper", task)


def _run(command: list[str], text: str, answer: Path) -> None:
    answer.unlink(missing_ok=True)
    timeout_s = START_TIMEOUT_S + SECONDS_PER_CHARACTER * len(text)
    line = " ".join(text.split()) + "\n"
    try:
        done = subprocess.run(
            command, input=line.encode(), capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise too_slow(timeout_s) from error
    except OSError as error:
        raise Unavailable(
            "speech.piper_failed", f"Piper does not start: {error.strerror}.", "Run it by hand."
        ) from error
    if done.returncode != 0 or not answer.is_file():
        raise piper_error(done.returncode, done.stderr)
