"""Gives a scene its voice: the one door of `avatar.speech`, called by the pipeline before timing."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from avatar.encode.atomic import write_error
from avatar.errors import InvalidInput
from avatar.spec import EspeakVoice, FliteVoice, MediaRef, PiperVoice, Scene, Voice
from avatar.speech.decode import best_rate_hz, decode_into, probe_rate_hz
from avatar.speech.delivery import deliver
from avatar.speech.duration import fit_recording, fit_speech
from avatar.speech.espeak import synthesise
from avatar.speech.markup import Script, SpeechTask, parse_script
from avatar.speech.sound import WavWriter
from avatar.speech.timed import Stretch, build_track
from avatar.speech.turns import speak_turns
from avatar.tracks import Phone, SpeechNote, SpeechTrack

SILENT_HZ = 48_000


def speak(
    scene: Scene, workdir: Path, resolve: Callable[[MediaRef], Path], cache: Path | None = None
) -> SpeechTrack:
    """Make or read the sound of one scene.

    Writes `workdir/speech.wav`, 16-bit mono, `lead_in_ms` and `tail_ms` of silence included, a whole number
    of milliseconds long. Words are the script's, as written, without marks. A `duration_ms` of the scene is
    met within 2 % or 250 ms, or a note `speech.duration_missed` says why not. `cache`: a folder for sentences
    that are likely to be spoken again soon, as while somebody edits. Raises InvalidInput or
    Unavailable with a `speech.*` code, or `render.disk_full`.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    try:
        return _speak(scene, workdir / "speech.wav", resolve, cache)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise write_error(error, workdir / "speech.wav") from error


def _speak(scene: Scene, wav: Path, resolve: Callable[[MediaRef], Path], cache: Path | None) -> SpeechTrack:
    if scene.silent:
        return _silence(wav, scene.duration_ms or 0)
    if scene.speakers:
        return speak_turns(scene, wav, lambda part, folder: speak(part, folder, resolve, cache))
    script = deliver(parse_script(scene.script or ""), scene.mood)
    if scene.audio is not None:
        track = from_recording(resolve(scene.audio), script, _task(scene, script, wav))
        return track if scene.duration_ms is None else fit_recording(track, scene, scene.duration_ms)
    if not script.tokens:
        raise InvalidInput(
            "speech.empty_script", f"Scene {scene.id} has no words to say.", "Write at least one word."
        )

    def say(words: Script, voice: Voice) -> SpeechTrack:
        return _say(words, voice, replace(_task(scene, words, wav), cache=cache))

    if scene.duration_ms is None:
        return say(script, scene.voice)
    return fit_speech(script, scene, scene.duration_ms, say)


def _silence(wav: Path, duration_ms: int) -> SpeechTrack:
    with WavWriter(wav, SILENT_HZ) as writer:
        writer.silence(duration_ms)
    return SpeechTrack(
        wav=wav,
        sample_rate_hz=SILENT_HZ,
        duration_ms=duration_ms,
        words=(),
        phones=(Phone("", 0, duration_ms),),
        phone_source="silent",
    )


def _task(scene: Scene, script: Script, wav: Path) -> SpeechTask:
    pronunciation = {**scene.pronunciation, **script.pronunciation}
    return SpeechTask(scene.language, pronunciation, wav, scene.lead_in_ms, scene.tail_ms)


def _say(script: Script, voice: Voice, task: SpeechTask) -> SpeechTrack:
    if isinstance(voice, EspeakVoice):
        return synthesise(script, voice, task)
    if isinstance(voice, FliteVoice):
        from avatar.speech.flite import from_flite

        return from_flite(script, voice, task)
    if isinstance(voice, PiperVoice):
        from avatar.speech.piper import from_piper

        return from_piper(script, voice, task)
    from avatar.speech.remote import from_service

    return from_service(script, voice, task)


def from_recording(audio: Path, script: Script, task: SpeechTask) -> SpeechTrack:
    """Read a recording of any format and find its words and sounds. Raises InvalidInput with a
    `speech.audio_*` code.
    """
    rate = best_rate_hz(probe_rate_hz(audio))
    with WavWriter(task.wav, rate) as writer:
        writer.silence(task.lead_in_ms)
        decoded = decode_into(audio, writer)
        sound_end_ms = writer.milliseconds
        writer.silence(task.tail_ms)
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
    stretch = Stretch(0, len(script.tokens), task.lead_in_ms, sound_end_ms)
    return build_track(task.wav, script.tokens, [stretch], task.language, task.pronunciation, notes)
