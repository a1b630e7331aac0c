"""Several speakers of a scene, one after the other: their turns spoken by themselves and joined to one sound;
`avatar.speech.speak` calls it, and the pipeline cuts the track of each speaker out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from avatar.errors import InvalidInput
from avatar.spec import Scene, Speaker
from avatar.speech.decode import resample_blocks
from avatar.speech.sound import STEPS_PER_SECOND, Samples, WavWriter, blocks, power, quiet_spans
from avatar.tracks import Phone, SpeechTrack, SpokenTurn, Word

BETWEEN_MS = 220
"""People in a conversation leave about so much between two turns: https://doi.org/10.1073/pnas.0903616106."""
MAX_GAIN_DB = 9.0
PEAK = 0.97
STEP_MS = 1000 // STEPS_PER_SECOND


def speak_turns(scene: Scene, wav: Path, say: Callable[[Scene, Path], SpeechTrack]) -> SpeechTrack:
    """Speaks each turn of `scene` by `say`, which takes a scene of one speaker and a folder, and writes all
    of them to `wav`, as loud as the first one. Words and phones are those of the whole scene, in order.

    Raises InvalidInput `speech.empty_script`, and what `say` raises.
    """
    spoken = [
        (turn.speaker, say(scene.of_turn(turn), wav.parent / f"turn-{number}"))
        for number, turn in enumerate(scene.turns)
    ]
    if not spoken:
        raise InvalidInput(
            "speech.empty_script", f"Scene {scene.id} has no words to say.", "Write at least one word."
        )
    joined = _Joined()
    level = _loudness(spoken[0][1])
    with WavWriter(wav, max(track.sample_rate_hz for _, track in spoken)) as writer:
        writer.silence(scene.lead_in_ms)
        for number, (speaker, track) in enumerate(spoken):
            if number:
                writer.silence(BETWEEN_MS)
            start_ms = writer.milliseconds
            gain = _gain(track, level)
            for samples in resample_blocks(track.wav, writer.rate_hz):
                writer.write(_louder(samples, gain))
            joined.add(speaker, track, start_ms, writer.milliseconds)
        writer.silence(scene.tail_ms)
    return joined.track(wav, writer.rate_hz, writer.samples * 1000 // writer.rate_hz)


def script_of(scene: Scene, speaker: Speaker) -> str:
    """Returns all turns of one speaker; each begins in the speaker's own mood, as it was spoken."""
    turns = [turn.text for turn in scene.turns if turn.speaker == speaker.name]
    return f"\n\n[mood {speaker.mood}] ".join(turns)


def track_of(speech: SpeechTrack, name: str, wav: Path) -> SpeechTrack:
    """Returns what one speaker says of `speech`, as long as the whole; writes its sound to `wav`, which is
    silent where others speak.
    """
    own = [turn for turn in speech.turns if turn.speaker == name]
    with WavWriter(wav, speech.sample_rate_hz) as writer:
        for turn in own:
            writer.silence(turn.start_ms - writer.milliseconds)
            for block in blocks(speech.wav, turn.start_ms, turn.end_ms):
                writer.write(block)
        writer.silence(speech.duration_ms - writer.milliseconds)
    words = tuple(word for turn in own for word in speech.words[turn.first_word : turn.last_word])
    phones = [
        phone
        for turn in own
        for phone in speech.phones
        if turn.start_ms <= phone.start_ms and phone.end_ms <= turn.end_ms
    ]
    return replace(
        speech, wav=wav, words=words, phones=tuple(_with_gaps(phones, speech.duration_ms)), turns=tuple(own)
    )


class _Joined:
    """Collects the tracks of turns as one."""

    def __init__(self) -> None:
        self._words: list[Word] = []
        self._phones: list[Phone] = []
        self._turns: list[SpokenTurn] = []
        self._tracks: list[SpeechTrack] = []

    def add(self, speaker: str, track: SpeechTrack, start_ms: int, end_ms: int) -> None:
        first = len(self._words)
        self._tracks.append(track)
        self._words += [
            replace(word, start_ms=word.start_ms + start_ms, end_ms=word.end_ms + start_ms)
            for word in track.words
        ]
        self._phones += [
            replace(phone, start_ms=phone.start_ms + start_ms, end_ms=min(phone.end_ms + start_ms, end_ms))
            for phone in track.phones
            if phone.start_ms + start_ms < end_ms
        ]
        self._turns.append(SpokenTurn(speaker, first, len(self._words), start_ms, end_ms))

    def track(self, wav: Path, rate_hz: int, duration_ms: int) -> SpeechTrack:
        sources = {track.phone_source for track in self._tracks}
        return SpeechTrack(
            wav=wav,
            sample_rate_hz=rate_hz,
            duration_ms=duration_ms,
            words=tuple(self._words),
            phones=tuple(_with_gaps(self._phones, duration_ms)),
            notes=tuple(dict.fromkeys(note for track in self._tracks for note in track.notes)),
            # The least exact of them: it says how far the mouth follows the loudness.
            phone_source=max(sources, key=_EXACTNESS.index),
            turns=tuple(self._turns),
        )


_EXACTNESS = ("engine", "aligned", "recognised", "energy")


def _with_gaps(phones: Sequence[Phone], duration_ms: int) -> Iterator[Phone]:
    """Yields the phones with silence between them, from 0 to `duration_ms`."""
    at = 0
    for phone in phones:
        if phone.start_ms > at:
            yield Phone("", at, phone.start_ms)
        yield phone
        at = phone.end_ms
    if duration_ms > at:
        yield Phone("", at, duration_ms)


def _loudness(track: SpeechTrack) -> float:
    """Returns the mean square of what sounds in a track, full scale = 1; 0 for silence."""
    levels = power(track.wav)
    for start_ms, end_ms in quiet_spans(levels, 60):
        levels[start_ms // STEP_MS : end_ms // STEP_MS] = 0
    sounding = levels[levels > 0]
    return float(sounding.mean()) if len(sounding) else 0.0


def _gain(track: SpeechTrack, level: float) -> float:
    """Returns the factor that makes a track as loud as `level`, at most 9 dB and never clipped."""
    own = _loudness(track)
    if own == 0 or level == 0:
        return 1.0
    limit = 10 ** (MAX_GAIN_DB / 20)
    peak = max((int(np.abs(block.astype(np.int32)).max(initial=0)) for block in blocks(track.wav)), default=0)
    return float(min(np.clip(np.sqrt(level / own), 1 / limit, limit), PEAK * 32767 / max(peak, 1)))


def _louder(samples: Samples, gain: float) -> Samples:
    return samples if gain == 1 else np.clip(np.rint(samples * gain), -32768, 32767).astype(np.int16)
