"""Supplied audio -> speech: with a transcript by forced alignment, without one by phone recognition; used by
`speak`.
"""

from __future__ import annotations

from pathlib import Path

from avatar.speech.decode import best_rate_hz, decode_into, probe_rate_hz
from avatar.speech.markup import Script
from avatar.speech.sound import WavWriter
from avatar.speech.timed import Stretch, build_track
from avatar.tracks import SpeechNote, SpeechTrack


def from_recording(
    audio: Path,
    script: Script,
    language: str,
    pronunciation: dict[str, str],
    wav: Path,
    lead_in_ms: int,
    tail_ms: int,
) -> SpeechTrack:
    """Read a recording of any format and find its words and sounds. Raises InvalidInput with a
    `speech.audio_*` code.
    """
    rate = best_rate_hz(probe_rate_hz(audio))
    with WavWriter(wav, rate) as writer:
        writer.silence(lead_in_ms)
        decoded = decode_into(audio, writer)
        sound_end_ms = writer.milliseconds
        writer.silence(tail_ms)
    notes: list[SpeechNote] = list(script.notes)
    if decoded.damaged:
        notes.append(
            SpeechNote(
                "speech.audio_damaged",
                f"Parts of {audio.name} could not be read; the speech is what was left.",
            )
        )
    if any(passage.pause_ms for passage in script.passages):
        notes.append(
            SpeechNote(
                "speech.markup_unsupported",
                "Pauses in the text are not applied: the recording keeps its own.",
            )
        )
    tokens = script.tokens
    return build_track(
        wav, tokens, [Stretch(0, len(tokens), lead_in_ms, sound_end_ms)], language, pronunciation, notes
    )
