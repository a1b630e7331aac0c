"""Recognises spoken commands while they are spoken, by pocketsphinx; called by the voice pipeline.

Two decoders hear the same sound. One knows the sentences of the grammar alone and makes one of them of
whatever it hears; the other, a loop of phones, knows no words. Where the loop explains the words much better
than the sentence does, or one word of it, nothing of the grammar was said (a filler model: Rose and Paul,
ICASSP 1990). `bench/voice_calibration.py` fits the weights; those here are of two voices in three noises.

Microphone, room and noise shift all cepstra. The decoders subtract a mean that is learnt slowly; where an
utterance is far from it, as the first one of a session or after noise has begun, it is begun anew with its
own mean as soon as that is known. A short one is recognised once more at its end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from types import MappingProxyType
from typing import Any

from agent.transcription.recognition import TimedWord
from agent.voice.noise import NoiseSuppressor
from agent.voice.pronunciations import dictionary, dictionary_path, model_path
from agent.voice.schemas import INPUT_HZ
from agent.voice.spoken_grammar import SpokenGrammar

WEIGHTS = (11.31, 2.34, 0.25, 0.72)
"""Bias, and weights of the log-likelihood ratios per frame: mean, worst word, worst silence."""
SILENCE_FRAMES = 20
"""Shorter silences between words are not looked at."""
MEAN_MOVED = 14.0
"""From this distance of an utterance's cepstral mean to the one subtracted on, it is recognised again."""
EARLY_FRAMES = 140
"""After so much sound, 0.7 s of it speech, the mean of an utterance is within 12 of its last value."""
CMN_WINDOW = 500
"""Frames that a mean which was set counts for (pocketsphinx, `cmn_live.c`)."""
SCORE_SHIFT = 1024.0
"""Scores of paths and of the phone loop are divided by this (pocketsphinx, `SENSCR_SHIFT`)."""
FRAMES_HZ = 100
"""Frames of the decoders per second of sound."""
CEPSTRAL_MEAN = "56,-4,2,9,-8,1,-6,-5,-4,0,0,2,2"
"""Of a person whose sound was not heard yet."""
ARC_WEIGHT = 3.0
"""Exponent of the probability of each arc of the grammar, one in all that leave its state."""
ACCEPTED = 0.5
"""From this confidence on a sentence is taken for what was said."""
ONLY = "only"
"""The name of the search for a few sentences."""
MAX_PATHS = 500
"""Paths of a lattice that are looked at for a sentence: most differ in pauses alone."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Compares how well a sentence and the loop of phones explain the sound: natural logarithms of
    likelihood ratios per frame, of all words, of the worst word, and of the worst silence: there the loop
    hears what the sentence leaves out.
    """

    mean: float
    worst: float
    silence: float = 0.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A word of a sentence, or a silence (`text` is empty), in frames of the decoder; `score`: the natural
    logarithm of the likelihood of its sound.
    """

    text: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Recognition:
    """The sentence that was recognised; `confidence` runs from 0 to 1."""

    text: str
    confidence: float
    words: tuple[TimedWord, ...] = ()
    measures: Measures | None = None

    @property
    def is_accepted(self) -> bool:
        return bool(self.text) and self.confidence >= ACCEPTED


class CommandRecogniser:
    """Recognises one sentence at a time. Not for two threads at once.

    Needs the extra `voice`. About 60 MB; `load` takes 0.2 s of processor time, a second of sound 0.17 s.
    """

    def __init__(self) -> None:
        self._sentences = open_decoder(
            dict=dictionary_path(),
            lm=None,
            beam=1e-64,  # Wider than the library's: arcs cost three times as much.
            pbeam=1e-64,
            wbeam=1e-48,
            silprob=1.0,  # Where silence is less probable, its sound becomes part of a word.
            compallsen=True,  # Else scores are relative to the best senone that is still searched.
            bestpath=False,  # Scores of segments from a lattice are not those of the sound alone.
        )
        self._phones = open_decoder(
            allphone=str(model_path() / "en-us-phone.lm.bin"),
            lm=None,
            dict=None,
            lw=2.0,
            beam=1e-20,
            pbeam=1e-20,
        )
        self.cepstral_mean = CEPSTRAL_MEAN
        """The mean after the last sentence: who goes on speaking begins with it."""
        self._used = CEPSTRAL_MEAN
        self._sound = bytearray()
        self._cleaned = bytearray()
        self._noise = NoiseSuppressor(INPUT_HZ)
        self._is_settled = False
        self._loaded = 0
        self._search = ""
        self._added: set[str] = set()

    @property
    def sound(self) -> bytes:
        """Returns the sound of the last sentence."""
        return bytes(self._sound)

    def load(self, grammar: SpokenGrammar) -> None:
        """Listens for the sentences of a grammar from the next sentence on."""
        self._loaded += 1
        before, self._search = self._search, f"sentences{self._loaded}"
        self._add(self._search, grammar)
        self._sentences.activate_search(self._search)
        if before:
            self._sentences.remove_search(before)

    def _add(self, name: str, grammar: SpokenGrammar) -> None:
        known = dictionary()
        for word in sorted(grammar.words):
            if word not in known and word not in self._added:
                for number, phones in enumerate(known.pronunciations(word), 1):
                    self._sentences.add_word(entry_of(word, number), phones, False)
                self._added.add(word)
        end = len(grammar.states)
        likely = [
            (len(words) + (state in grammar.ends) or 1) ** -ARC_WEIGHT
            for state, words in enumerate(grammar.states)
        ]
        arcs: list[tuple[int, int, float] | tuple[int, int, float, str]] = [
            (state, after, likely[state], word)
            for state, words in enumerate(grammar.states)
            for word, after in words.items()
        ]
        arcs += [(state, end, likely[state]) for state in sorted(grammar.ends)]
        self._sentences.add_fsg(name, self._sentences.create_fsg(name, 0, end, arcs))

    def begin(self, cepstral_mean: str = "", only: SpokenGrammar | None = None) -> None:
        """Begins a sentence of somebody whose last `cepstral_mean` is given, where there was one. With `only`
        these sentences alone are listened for.
        """
        self._restrict(only)
        self._sound, self._cleaned, self._noise = bytearray(), bytearray(), NoiseSuppressor(INPUT_HZ)
        self._start(cepstral_mean or CEPSTRAL_MEAN)
        self._is_settled = False

    def _start(self, cepstral_mean: str) -> None:
        self._used = cepstral_mean
        for decoder in (self._sentences, self._phones):
            decoder.set_cmn(cepstral_mean)
            decoder.start_utt()

    def _settle_mean(self) -> None:
        """Begins anew with the mean of what was heard so far, where that is far from the one subtracted: now,
        while the person speaks, and not when they wait for an answer.
        """
        self._is_settled = True
        self.cepstral_mean = self._sentences.get_cmn(True)
        self._phones.get_cmn(True)
        own = self._own_mean()
        if math.dist(_numbers(self._used), own) <= MEAN_MOVED:
            return
        for decoder in (self._sentences, self._phones):
            decoder.end_utt()
        self._start(_text(own))
        for decoder in (self._sentences, self._phones):
            decoder.process_raw(bytes(self._cleaned), False, False)

    def hear(self, pcm: bytes) -> str:
        """Takes 16-bit mono at 16 kHz, of any length; returns what was understood so far."""
        self._sound += pcm
        if cleaned := self._noise.clean(pcm):
            self._cleaned += cleaned
            for decoder in (self._sentences, self._phones):
                decoder.process_raw(cleaned, False, False)
        if not self._is_settled and self._sentences.n_frames() >= EARLY_FRAMES:
            self._settle_mean()
        found = self._sentences.hyp()
        return found.hypstr if found is not None else ""

    def end(self) -> Recognition:
        """Ends the sentence and returns it; without text where none was reached."""
        self._sentences.end_utt()
        self._phones.end_utt()
        self.cepstral_mean = self._sentences.get_cmn(False)
        used, own = _numbers(self._used), self._own_mean()
        if math.dist(used, own) > MEAN_MOVED:
            self._hear_again()
            self.cepstral_mean = _text(own)
        return self._result()

    def _result(self) -> Recognition:
        found = self._sentences.hyp()
        if found is None or not found.hypstr:
            return Recognition("", 0.0)
        segments = segments_of(self._sentences)
        measures = self._measure(segments)
        return Recognition(found.hypstr, confidence_of(measures), tuple(self._words(segments)), measures)

    def compare(self, sentences: Sequence[str]) -> dict[str, float]:
        """Returns how well each of these sentences explains the last sound: natural logarithms of likelihoods
        below that of the best one. What lies far below is left out.
        """
        self._restrict(SpokenGrammar.of(sentences))
        decoder = self._sentences
        decode_whole(decoder, bytes(self._cleaned))
        found: dict[str, float] = {}
        if decoder.hyp() is not None:
            for one in islice(decoder.nbest() or (), MAX_PATHS):
                if one.hypstr in sentences:
                    found.setdefault(one.hypstr, _log(one.score) * SCORE_SHIFT)
        self._restrict(None)
        best = max(found.values(), default=0.0)
        return {text: value - best for text, value in found.items()}

    def hear_widely(self, decode: Callable[[bytes], Sequence[Segment]]) -> Recognition:
        """Recognises the last sound once more; `decode` knows sentences that are not in the grammar."""
        segments = decode(bytes(self._cleaned))
        text = " ".join(one.text for one in segments if one.text)
        measures = self._measure(segments)
        return Recognition(text, confidence_of(measures) if text else 0.0, (), measures)

    def hear_all(self) -> Recognition:
        """Recognises the last sound once more, by the whole grammar."""
        self._restrict(None)
        self._hear_again()
        return self._result()

    def _restrict(self, only: SpokenGrammar | None) -> None:
        """Listens for these sentences alone; with None, for those that were loaded."""
        if only is not None:
            self._add(ONLY, only)
        self._sentences.activate_search(self._search if only is None else ONLY)

    def _own_mean(self) -> list[float]:
        """Returns the mean of this utterance alone, from the running one before and after it."""
        frames = max(1, self._sentences.n_frames())
        pairs = zip(_numbers(self._used), _numbers(self.cepstral_mean), strict=True)
        return [before + (after - before) * (CMN_WINDOW + frames) / frames for before, after in pairs]

    def _hear_again(self) -> None:
        """Recognises the whole utterance with the mean of its own cepstra."""
        for decoder in (self._sentences, self._phones):
            decode_whole(decoder, bytes(self._cleaned))

    def _measure(self, segments: Sequence[Segment]) -> Measures:
        loop = [0.0]
        for one in self._phones.seg() or ():
            frames = one.end_frame - one.start_frame + 1
            loop += [_log(one.ascore) * SCORE_SHIFT / frames] * frames
        sums = list(accumulate(loop))
        total, count, worst, silence = 0.0, 0, math.inf, 0.0
        for one in segments:
            start, end = (min(at, len(sums) - 1) for at in (one.start, one.end))
            ratio, frames = one.score - (sums[end] - sums[start]), max(1, end - start)
            if one.text:
                total, count, worst = total + ratio, count + frames, min(worst, ratio / frames)
            elif end - start >= SILENCE_FRAMES:
                silence = min(silence, ratio / frames)
        return Measures(total / count, worst, silence) if count else Measures(-math.inf, -math.inf)

    def _words(self, segments: Sequence[Segment]) -> list[TimedWord]:
        step_ms = 1000 // FRAMES_HZ
        return [TimedWord(one.text, one.start * step_ms, one.end * step_ms) for one in segments if one.text]


def open_decoder(**options: Any) -> Any:
    """Returns a decoder of pocketsphinx with its own acoustic model of English."""
    import pocketsphinx

    acoustic = str(model_path() / "en-us")
    return pocketsphinx.Decoder(hmm=acoustic, samprate=INPUT_HZ, loglevel="FATAL", **options)


def decode_whole(decoder: Any, pcm: bytes) -> None:
    """Recognises a whole utterance, with the mean of its own cepstra."""
    decoder.start_utt()
    decoder.process_raw(pcm, False, True)
    decoder.end_utt()


def entry_of(word: str, number: int) -> str:
    """Returns the entry of a dictionary for a pronunciation of a word, counted from 1."""
    return f"{word}({number})" if number > 1 else word


def confidence_of(measures: Measures) -> float:
    """Returns 0 to 1: how likely a sentence was said, and not another one (logistic regression)."""
    bias, mean, worst, silence = WEIGHTS
    logit = bias + mean * max(-50.0, measures.mean) + worst * max(-50.0, measures.worst)
    logit += silence * max(-50.0, measures.silence)
    return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, logit))))


def segments_of(decoder: Any, texts: Mapping[str, str] = MappingProxyType({})) -> list[Segment]:
    """Returns what a decoder found, in order. `texts`: what stands for an entry of its dictionary; where
    nothing does, the word, whichever its pronunciation.
    """
    return [
        Segment(
            "" if _is_silence(one.word) else texts.get(one.word) or re.sub(r"\(\d+\)$", "", one.word),
            one.start_frame,
            one.end_frame + 1,
            _log(one.ascore) * SCORE_SHIFT,
        )
        for one in decoder.seg() or ()
    ]


def _is_silence(word: str) -> bool:
    """Returns whether a segment is no word: silence, noise, the ends of the sentence."""
    return word.startswith(("<", "[", "(")) or word == "SIL"


def _numbers(cepstral_mean: str) -> list[float]:
    return [float(one) for one in cepstral_mean.split(",")]


def _text(cepstral_mean: Sequence[float]) -> str:
    return ",".join(f"{one:.2f}" for one in cepstral_mean)


def _log(score: float) -> float:
    return math.log(max(float(score), 1e-300))
