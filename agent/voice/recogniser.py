"""Recognises spoken commands while they are spoken, by pocketsphinx; called by the voice pipeline.

Two decoders hear the same sound. One knows the sentences of the grammar alone and makes one of them of
whatever it hears; the other, a loop of phones, knows no words. Where the loop explains the words much better
than the sentence does, or one word of it, nothing of the grammar was said (a filler model: Rose and Paul,
ICASSP 1990). The weights were set by hand; `bench/voice_calibration.py` is there to fit them.

Microphone, room and noise shift all cepstra. The decoders subtract a mean that is learnt slowly; where an
utterance is far from it, as the first one of a session or after noise has begun, it is recognised once more
with its own mean.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from agent.transcription.recognition import TimedWord
from agent.voice.schemas import INPUT_HZ
from agent.voice.spoken_grammar import SpokenGrammar

WEIGHTS = (6.7, 1.6, 0.9)
"""Bias, weight of the mean and of the worst word's log-likelihood ratio per frame."""
MEAN_MOVED = 14.0
"""From this distance of an utterance's cepstral mean to the one subtracted on, it is recognised again."""
CMN_WINDOW = 500
"""Frames that a mean which was set counts for (pocketsphinx, `cmn_live.c`)."""
SCORE_SHIFT = 1024.0
"""Scores of paths and of the phone loop are divided by this (pocketsphinx, `SENSCR_SHIFT`)."""
FRAMES_HZ = 100
"""Frames of the decoders per second of sound."""
CEPSTRAL_MEAN = "56,-4,2,9,-8,1,-6,-5,-4,0,0,2,2"
"""Of a person whose sound was not heard yet."""
ACCEPTED = 0.5
"""From this confidence on a sentence is taken for what was said."""
_LETTERS = re.compile(r"[a-z]+|\d+")
_LONGEST_SPELT = 4


@dataclass(frozen=True, slots=True)
class Measures:
    """Compares how well a sentence and the loop of phones explain the sound: natural logarithms of
    likelihood ratios per frame, of all words and of the worst word.
    """

    mean: float
    worst: float


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


class Dictionary:
    """Pronunciations of words in ARPAbet: the dictionary of pocketsphinx, numbers, and short letter names."""

    def __init__(self, path: Path) -> None:
        self._phones: dict[str, str] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            word, _, phones = line.partition(" ")
            self._phones.setdefault(word, phones.strip())

    def __contains__(self, word: str) -> bool:
        return word in self._phones

    def knows(self, word: str) -> bool:
        """Returns whether `pronounce` has the phones of a word."""
        return self.pronounce(word) is not None

    def pronounce(self, word: str) -> str | None:
        """Returns the phones of a word: of digits as a number (480p), of up to four letters as their names
        (gpu).
        """
        if word in self._phones:
            return self._phones[word]
        parts = _LETTERS.findall(word)
        if "".join(parts) != word:
            return None
        words = [spoken for part in parts for spoken in self._parts(part)]
        phones = [self._phones.get(one) for one in words]
        return " ".join(one for one in phones if one) if phones and all(phones) else None

    def _parts(self, part: str) -> list[str]:
        if part.isdigit():
            return number_words(part)
        if part in self._phones:
            return [part]
        return list(part) if len(part) <= _LONGEST_SPELT else [""]


def number_words(digits: str) -> list[str]:
    """Returns how people say a number: 7 → seven, 24 → twenty four, 480 → four eighty, 1080 → ten eighty."""
    from num2words import num2words  # type: ignore[import-untyped]

    if len(digits) > 4 or (digits[0] == "0" and len(digits) > 1):
        return [word for digit in digits for word in number_words(digit)]
    words: str = num2words(int(digits), to="year")
    return words.replace("-", " ").split()


@lru_cache(maxsize=1)
def dictionary() -> Dictionary:
    """Returns the English dictionary, read once."""
    return Dictionary(_model() / "cmudict-en-us.dict")


class CommandRecogniser:
    """Recognises one sentence at a time. Not for two threads at once.

    About 60 MB; `load` takes 0.2 s of processor time, a second of sound 0.1 s.
    """

    def __init__(self) -> None:
        import pocketsphinx

        acoustic = str(_model() / "en-us")
        self._sentences: Any = pocketsphinx.Decoder(
            hmm=acoustic,
            dict=str(_model() / "cmudict-en-us.dict"),
            lm=None,
            samprate=INPUT_HZ,
            loglevel="FATAL",
        )
        self._phones: Any = pocketsphinx.Decoder(
            hmm=acoustic,
            allphone=str(_model() / "en-us-phone.lm.bin"),
            lm=None,
            dict=None,
            lw=2.0,
            beam=1e-20,
            pbeam=1e-20,
            samprate=INPUT_HZ,
            loglevel="FATAL",
        )
        self.cepstral_mean = CEPSTRAL_MEAN
        """The mean after the last sentence: who goes on speaking begins with it."""
        self._used = CEPSTRAL_MEAN
        self._sound = bytearray()
        self._loaded = 0
        self._added: set[str] = set()

    @property
    def sound(self) -> bytes:
        """Returns the sound of the last sentence."""
        return bytes(self._sound)

    def load(self, grammar: SpokenGrammar) -> None:
        """Listens for the sentences of a grammar from the next sentence on."""
        known = dictionary()
        for word in sorted(grammar.words):
            if word not in known and word not in self._added:
                self._sentences.add_word(word, known.pronounce(word), False)
                self._added.add(word)
        end = len(grammar.states)
        arcs: list[tuple[int, int, float] | tuple[int, int, float, str]] = [
            (state, after, 1.0 / (len(words) + (state in grammar.ends)), word)
            for state, words in enumerate(grammar.states)
            for word, after in words.items()
        ]
        arcs += [(state, end, 1.0 / (len(grammar.states[state]) + 1)) for state in sorted(grammar.ends)]
        self._loaded += 1
        name = f"sentences{self._loaded}"
        self._sentences.add_fsg(name, self._sentences.create_fsg(name, 0, end, arcs))
        self._sentences.activate_search(name)
        if self._loaded > 1:
            self._sentences.remove_search(f"sentences{self._loaded - 1}")

    def begin(self, cepstral_mean: str = "") -> None:
        """Begins a sentence of somebody whose last `cepstral_mean` is given, where there was one."""
        self._sound = bytearray()
        self._used = cepstral_mean or CEPSTRAL_MEAN
        for decoder in (self._sentences, self._phones):
            decoder.set_cmn(self._used)
            decoder.start_utt()

    def hear(self, pcm: bytes) -> str:
        """Takes 16-bit mono at 16 kHz, of any length; returns what was understood so far."""
        self._sound += pcm
        self._sentences.process_raw(pcm, False, False)
        self._phones.process_raw(pcm, False, False)
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
            self.cepstral_mean = ",".join(f"{one:.2f}" for one in own)
        found = self._sentences.hyp()
        if found is None or not found.hypstr:
            return Recognition("", 0.0)
        measures = self._measure()
        return Recognition(found.hypstr, confidence_of(measures), tuple(self._words()), measures)

    def _own_mean(self) -> list[float]:
        """Returns the mean of this utterance alone, from the running one before and after it."""
        frames = max(1, self._sentences.n_frames())
        pairs = zip(_numbers(self._used), _numbers(self.cepstral_mean), strict=True)
        return [before + (after - before) * (CMN_WINDOW + frames) / frames for before, after in pairs]

    def _hear_again(self) -> None:
        """Recognises the whole utterance with the mean of its own cepstra."""
        for decoder in (self._sentences, self._phones):
            decoder.start_utt()
            decoder.process_raw(bytes(self._sound), False, True)
            decoder.end_utt()

    def _measure(self) -> Measures:
        loop = [0.0]
        for one in self._phones.seg() or ():
            frames = one.end_frame - one.start_frame + 1
            loop += [_log(one.ascore) * SCORE_SHIFT / frames] * frames
        sums = list(accumulate(loop))
        total, count, worst = 0.0, 0, math.inf
        for word in self._spoken():
            start, end = (min(at, len(sums) - 1) for at in (word.start_frame, word.end_frame + 1))
            frames = max(1, end - start)
            ratio = _log(word.ascore) - (sums[end] - sums[start])
            total, count, worst = total + ratio, count + frames, min(worst, ratio / frames)
        return Measures(total / count, worst) if count else Measures(-math.inf, -math.inf)

    def _spoken(self) -> Iterator[Any]:
        """Yields the segments that are words."""
        for one in self._sentences.seg() or ():
            if not one.word.startswith(("<", "[", "(")) and one.word != "SIL":
                yield one

    def _words(self) -> list[TimedWord]:
        step_ms = 1000 // FRAMES_HZ
        return [
            TimedWord(
                re.sub(r"\(\d+\)$", "", one.word), one.start_frame * step_ms, (one.end_frame + 1) * step_ms
            )
            for one in self._spoken()
        ]


def confidence_of(measures: Measures) -> float:
    """Returns 0 to 1: how likely a sentence of the grammar was said (logistic regression)."""
    bias, mean, worst = WEIGHTS
    logit = bias + mean * max(-50.0, measures.mean) + worst * max(-50.0, measures.worst)
    return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, logit))))


def _numbers(cepstral_mean: str) -> list[float]:
    return [float(one) for one in cepstral_mean.split(",")]


def _log(score: float) -> float:
    return math.log(max(float(score), 1e-300))


@lru_cache(maxsize=1)
def _model() -> Path:
    import pocketsphinx

    return Path(pocketsphinx.get_model_path("en-us"))
