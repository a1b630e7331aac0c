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
from avatar.speech.markup import Script
from avatar.speech.passages import SpokenTimes, speak_in_passages
from avatar.speech.piper_process import NoWarmVoice, speak_warm
from avatar.tracks import SpeechTrack

PROGRAM_VARIABLE = "AVATAR_PIPER"
ROLE = "piper.voice"
_START_TIMEOUT_S = 60.0
_SECONDS_PER_CHARACTER = 0.5
"""A voice is loaded anew for each passage here, and a slow computer speaks slower than it is heard."""


def piper_program(environment: Mapping[str, str] = os.environ) -> str | None:
    """The program of `$AVATAR_PIPER`, else of PATH."""
    return shutil.which(environment.get(PROGRAM_VARIABLE) or "piper")


def from_piper(
    script: Script,
    voice: PiperVoice,
    language: str,
    pronunciation: dict[str, str],
    wav: Path,
    lead_in_ms: int,
    tail_ms: int,
) -> SpeechTrack:
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

    return speak_in_passages(script, say, "Piper", language, pronunciation, wav, lead_in_ms, tail_ms)


def _run(command: list[str], text: str, answer: Path) -> None:
    answer.unlink(missing_ok=True)
    timeout_s = _START_TIMEOUT_S + _SECONDS_PER_CHARACTER * len(text)
    line = " ".join(text.split()) + "\n"
    try:
        done = subprocess.run(
            command, input=line.encode(), capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            "speech.timeout", f"Piper did not finish within {timeout_s:.0f} s.", "Shorten the scene."
        ) from error
    except OSError as error:
        raise Unavailable(
            "speech.piper_failed", f"Piper does not start: {error.strerror}.", "Run it by hand."
        ) from error
    if done.returncode != 0 or not answer.is_file():
        output = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = "".join(char for char in (output[-1] if output else "no message") if char.isprintable())[
            -200:
        ]
        raise Unavailable(
            "speech.piper_failed",
            f"Piper ended with status {done.returncode}: {reason}.",
            "Run it by hand with the same voice; `models verify piper.voice` looks at the file.",
        )
