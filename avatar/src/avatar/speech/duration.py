"""Fits the speech of a scene to a wished length by pace, pauses and a longer tail; used by `speak`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from avatar.spec import EspeakVoice, FliteVoice, OpenAIVoice, PiperVoice, Scene, Voice
from avatar.spec.sentences import ends_sentence
from avatar.speech.flite import PAUSES_MS
from avatar.speech.markup import PARAGRAPH_PAUSE_MS, Passage, Script
from avatar.speech.sound import set_duration_ms
from avatar.tracks import Phone, SpeechNote, SpeechTrack

SLOWEST, FASTEST = 0.75, 1.35
"""Of the voice's own pace: beyond these a listener takes it for tired or for played too fast."""
LONGEST_ADDED_PAUSE_MS = 900
"""At the end of a sentence, beside what the voice pauses by itself."""
LONGEST_ADDED_TAIL_MS = 1500
SHORTEST_TAIL_MS = 100
SHORTEST_ADDED_PAUSE_MS = 150
SMALL_GAP_MS = 300
"""Is left to the silence at the end; nobody hears it there."""
TOLERANCE_MS, TOLERANCE = 250, 0.02
TRIES = 3
"""A voice keeps its pace to a few percent; a service is asked anew for each try."""

Say = Callable[[Script, Voice], SpeechTrack]
"""Writes the sound of a script in a voice, in the place of the one before."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The pace of a voice. `pace` is a factor on the voice's own, `pause_ms` is added at each end of a
    sentence.
    """

    pace: float = 1.0
    pause_ms: int = 0


def fit_speech(script: Script, scene: Scene, wished_ms: int, say: Say) -> SpeechTrack:
    """Speak a script in about `wished_ms`, lead-in and tail included; a note tells when it cannot be done."""
    voice = scene.voice
    # Of the voice's own, at the end of a sentence: it gives way to one that is asked for.
    own_pause_ms = PAUSES_MS["."] if isinstance(voice, FliteVoice) else 0
    plan = _Plan()
    track = say(script, voice)
    for _ in range(TRIES):
        following = _next_plan(plan, track, script, scene, wished_ms)
        if following == plan:
            break
        plan = following
        pause_ms = plan.pause_ms and plan.pause_ms + round(own_pause_ms / plan.pace)
        track = say(_with_pauses(script, pause_ms), _at_pace(voice, plan.pace))
    silent_ms = scene.lead_in_ms + scene.tail_ms + LONGEST_ADDED_TAIL_MS
    whole = _with_tail(track, scene, wished_ms)
    return _note_length(whole, wished_ms, len(script.tokens), silent_ms, paced=_has_pace(voice))


def fit_recording(track: SpeechTrack, scene: Scene, wished_ms: int) -> SpeechTrack:
    """The same for speech that somebody has recorded: only the silence behind it is ours to change."""
    return _note_length(_with_tail(track, scene, wished_ms), wished_ms, 0, 0, paced=False)


def _next_plan(plan: _Plan, track: SpeechTrack, script: Script, scene: Scene, wished_ms: int) -> _Plan:
    """The plan that would fit by what the last one gave; the same one when it fits or nothing is left."""
    gap_ms = wished_ms - track.duration_ms
    if -max(0, scene.tail_ms - SHORTEST_TAIL_MS) <= gap_ms <= SMALL_GAP_MS:
        return plan
    breaks = len(_breaks(script))
    silent_ms = scene.lead_in_ms + scene.tail_ms + sum(one.pause_ms for one in script.passages)
    # What the words take at the voice's own pace, and what is left for them.
    spoken_ms = max(1.0, (track.duration_ms - silent_ms - breaks * plan.pause_ms) * plan.pace)
    left_ms = max(1.0, wished_ms - silent_ms)
    pace = plan.pace
    if _has_pace(scene.voice):
        pace = round(min(FASTEST, max(SLOWEST, spoken_ms / left_ms)), 3)
    wished_pause_ms = round((left_ms - spoken_ms / pace) / breaks) if breaks else 0
    pause_ms = min(LONGEST_ADDED_PAUSE_MS, wished_pause_ms)
    following = _Plan(pace, pause_ms if pause_ms >= SHORTEST_ADDED_PAUSE_MS else 0)
    near = abs(following.pace - plan.pace) < 0.004 and abs(following.pause_ms - plan.pause_ms) < 20
    return plan if near else following


def _has_pace(voice: Voice) -> bool:
    return isinstance(voice, EspeakVoice | FliteVoice | OpenAIVoice | PiperVoice)


def _at_pace(voice: Voice, pace: float) -> Voice:
    """The voice, faster or slower; bounded by what its engine takes."""
    if isinstance(voice, EspeakVoice):
        return voice.model_copy(update={"rate_wpm": min(450, max(80, round(voice.rate_wpm * pace)))})
    if isinstance(voice, FliteVoice):
        otherwise = _at_pace(voice.otherwise, pace)
        pace = min(2.0, max(0.5, round(voice.pace * pace, 3)))
        return voice.model_copy(update={"pace": pace, "otherwise": otherwise})
    if isinstance(voice, OpenAIVoice):
        return voice.model_copy(update={"speed": min(4.0, max(0.25, round(voice.speed * pace, 3)))})
    if isinstance(voice, PiperVoice):
        return voice.model_copy(update={"speed": min(2.0, max(0.5, round(voice.speed * pace, 3)))})
    return voice


def _breaks(script: Script) -> list[tuple[int, int]]:
    """Returns the places of pauses that may grow: (passage, token) of each sentence's end but the last. A
    pause that the script asks for stays as long as it says.
    """
    found: list[tuple[int, int]] = []
    for number, passage in enumerate(script.passages):
        for index, token in enumerate(passage.tokens):
            last = index == len(passage.tokens) - 1
            ends = ends_sentence(token.text, None if last else passage.tokens[index + 1].text)
            if last and (passage.pause_ms != PARAGRAPH_PAUSE_MS or number == len(script.passages) - 1):
                continue
            if ends:
                found.append((number, index))
    return found


def _with_pauses(script: Script, pause_ms: int) -> Script:
    """The script with `pause_ms` more at each of its breaks."""
    if not pause_ms:
        return script
    breaks = set(_breaks(script))
    passages: list[Passage] = []
    for number, passage in enumerate(script.passages):
        begin = 0
        for index in range(len(passage.tokens) - 1):
            if (number, index) in breaks:
                passages.append(Passage(passage.tokens[begin : index + 1], pause_ms))
                begin = index + 1
        grown = pause_ms if (number, len(passage.tokens) - 1) in breaks else 0
        passages.append(Passage(passage.tokens[begin:], passage.pause_ms + grown))
    return replace(script, passages=tuple(passages))


def _with_tail(track: SpeechTrack, scene: Scene, wished_ms: int) -> SpeechTrack:
    """The rest of the way by the silence at the end."""
    shortest_ms = track.duration_ms - max(0, scene.tail_ms - SHORTEST_TAIL_MS)
    target_ms = min(max(wished_ms, shortest_ms), track.duration_ms + LONGEST_ADDED_TAIL_MS)
    if target_ms == track.duration_ms:
        return track
    length_ms = set_duration_ms(track.wav, target_ms)
    phones = track.phones
    if phones and not phones[-1].ipa and phones[-1].start_ms < length_ms:
        phones = (*phones[:-1], replace(phones[-1], end_ms=length_ms))
    elif phones and phones[-1].end_ms < length_ms:
        phones = (*phones, Phone("", phones[-1].end_ms, length_ms))
    return replace(track, duration_ms=length_ms, phones=phones)


def _note_length(
    track: SpeechTrack, wished_ms: int, words: int, silent_ms: int, *, paced: bool
) -> SpeechTrack:
    """With a note when the length is not the wished one. `silent_ms`: what does not grow with the words."""
    gap_ms = wished_ms - track.duration_ms
    if abs(gap_ms) <= max(TOLERANCE_MS, TOLERANCE * wished_ms):
        return track
    why = "the script is too long for it" if gap_ms < 0 else "the script is too short for it"
    if not words:
        why = "a recording keeps its own pace and pauses"
    elif paced:
        why += f" at {'the fastest' if gap_ms < 0 else 'the slowest'} pace that sounds natural"
    else:
        why += ", and this voice cannot change its pace"
    advice = ""
    if words:
        silent_ms = min(silent_ms, track.duration_ms // 2, wished_ms // 2)
        fitting = max(1, round(words * (wished_ms - silent_ms) / (track.duration_ms - silent_ms)))
        advice = f" About {fitting} words would fit; it has {words}."
    message = (
        f"The speech is {track.duration_ms / 1000:.1f} s long, not the {wished_ms / 1000:.1f} s that were"
        f" asked for: {why}.{advice}"
    )
    return replace(track, notes=(*track.notes, SpeechNote("speech.duration_missed", message)))
