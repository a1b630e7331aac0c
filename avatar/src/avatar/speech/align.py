"""Forced alignment, for `timed`: when each written word and each of its sounds is said, by pocketsphinx.

A window of some twenty seconds slides over the sound. In each window a grammar lets the next words of the
text follow each other and stop anywhere, so nobody needs to know beforehand which words the window holds;
words near its end are left to the next window. Time and memory grow with the length only.
"""

from __future__ import annotations

import math
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketsphinx import Decoder, set_loglevel

from avatar.errors import AvatarError
from avatar.speech.acoustic import FRAME_MS, MODEL_RATE_HZ, display_ipa, model_folder, model_sound
from avatar.speech.arpabet import IPA, Sound, ipa_to_sounds
from avatar.speech.espeak import read_aloud
from avatar.speech.pronunciation import is_ipa
from avatar.speech.sound import Levels, Samples, quietest_moment
from avatar.tracks import Phone

SAMPLES_PER_FRAME = MODEL_RATE_HZ * FRAME_MS // 1000
TAIL_SAMPLES = 250
"""A frame looks 410 samples far: the last one needs these behind its own 160."""
WINDOW_MS = (14_000, 20_000)
SECOND_TRY_MS = (7_000, 12_000)
"""Shortest and longest window; the cut is the quietest moment between."""
KEEP_UNTIL_MS = 11_000
SHORTEST_STEP_MS = 500
WORDS_PER_SECOND = 6.0
STOP_PROBABILITY = 0.5
SKIP_PROBABILITY = 0.01
COMPLETE_SHARE = 0.9
"""Fewer words found than this: try again with words that may be left out."""

_Span = tuple[str, int, int]
Pronunciation = tuple[Sound, ...]
MAX_VARIANTS = 4
_PARTS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LETTERS = {
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH",
    "k": "K", "l": "L", "m": "M", "n": "N", "o": "OW", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T",
    "u": "UW", "v": "V", "w": "W", "x": "K S", "y": "IY", "z": "Z", "0": "Z IH R OW", "1": "W AH N",
    "2": "T UW", "3": "TH R IY", "4": "F AO R", "5": "F AY V", "6": "S IH K S", "7": "S EH V AH N",
    "8": "EY T", "9": "N AY N",
}  # fmt: skip


def build_lexicon(
    words: Iterable[str], language: str, pronunciation: dict[str, str], cmu_dictionary: Path
) -> dict[str, tuple[Pronunciation, ...]]:
    """Ways of saying every distinct word of `words`, as written. Costs one pass over the dictionary file."""
    distinct = list(dict.fromkeys(words))
    by_word = {word.strip().casefold(): value.strip() for word, value in pronunciation.items()}
    entries: dict[str, tuple[Pronunciation, ...]] = {}
    spoken: dict[str, str] = {}
    for word in distinct:
        value = by_word.get(bare(word))
        if value is not None and is_ipa(value) and (sounds := ipa_to_sounds(value[1:-1])):
            entries[word] = (sounds,)
        else:
            spoken[word] = value or word
    if language.lower().startswith("en"):
        entries |= _from_dictionary(spoken, cmu_dictionary)
    unknown = [word for word in distinct if word not in entries]
    entries |= _from_espeak(unknown, [spoken[word] for word in unknown], language)
    for word in unknown:
        if word not in entries:
            entries[word] = (_from_letters(spoken[word]),)
    return entries


def bare(word: str) -> str:
    """A word without the punctuation around it, in lower case: the key of pronunciation dictionaries."""
    return re.sub(r"^\W+|\W+$", "", word).casefold()


def _from_dictionary(spoken: dict[str, str], dictionary: Path) -> dict[str, tuple[Pronunciation, ...]]:
    parts = {word: _PARTS.findall(text.casefold().replace("’", "'")) for word, text in spoken.items()}
    # Digits and signs are read by espeak-ng, never skipped.
    readable = {
        word: found
        for word, found in parts.items()
        if found and not re.search(r"[\d%&+@#€$£]|[^\x00-\u024f\u2010-\u2027]", spoken[word])
    }
    needed = {part for found in readable.values() for part in found}
    known: dict[str, list[Pronunciation]] = {}
    with dictionary.open(encoding="utf-8") as lines:
        for line in lines:
            name, *phones = line.split()
            name = name.partition("(")[0]
            if name in needed and len(known.setdefault(name, [])) < MAX_VARIANTS:
                known[name].append(tuple((phone, IPA[phone]) for phone in phones))
    entries: dict[str, tuple[Pronunciation, ...]] = {}
    for word, found in readable.items():
        if not all(part in known for part in found):
            continue
        if len(found) == 1:
            entries[word] = tuple(known[found[0]])
        else:
            entries[word] = (tuple(sound for part in found for sound in known[part][0]),)
    return entries


def _from_espeak(
    words: Sequence[str], spoken: Sequence[str], language: str
) -> dict[str, tuple[Pronunciation, ...]]:
    if not words:
        return {}
    try:
        readings = read_aloud(spoken, language)
    except AvatarError:
        # Without espeak-ng, or for a language it lacks, the letter rule reads every word; the aligner notes
        # it.
        return {}
    sounds = {word: ipa_to_sounds(ipa) for word, ipa in zip(words, readings, strict=True)}
    return {word: (found,) for word, found in sounds.items() if found}


def _from_letters(word: str) -> Pronunciation:
    plain = unicodedata.normalize("NFKD", word).casefold()
    names = [name for char in plain for name in _LETTERS.get(char, "").split()]
    return tuple((name, IPA[name]) for name in names) or (("AH", IPA["AH"]),)


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """Times in milliseconds of the WAV; phones without gaps from start to end."""

    index: int
    start_ms: int
    end_ms: int
    phones: tuple[Phone, ...]


@dataclass(frozen=True, slots=True)
class _Grammar:
    """Words first..last-1 of the text, one after the other.

    complete: all must be said, else the speech may stop after any of them. may_skip: each may be left out.
    """

    first: int
    last: int
    complete: bool
    may_skip: bool

    def arcs(self, names: Sequence[str]) -> list[tuple[int, int, float, str] | tuple[int, int, float]]:
        """Transitions for pocketsphinx: state i stands before word i, the last state ends."""
        end = len(names) + 1
        arcs: list[tuple[int, int, float, str] | tuple[int, int, float]]
        arcs = [(index, index + 1, 1.0, name) for index, name in enumerate(names)]
        if self.may_skip:
            arcs += [(index, index + 1, SKIP_PROBABILITY) for index in range(len(names))]
        if not self.complete:
            arcs += [(index, end, STOP_PROBABILITY) for index in range(1, len(names))]
        return [*arcs, (len(names), end, 1.0)]


class Aligner:
    """Aligns one text, in one or several spans of a WAV; its decoder knows the words of the text alone."""

    def __init__(
        self, words: Sequence[str], language: str, pronunciation: dict[str, str], wav: Path, levels: Levels
    ) -> None:
        self._words = tuple(words)
        self._wav, self._levels = wav, levels
        lexicon = build_lexicon(words, language, pronunciation, model_folder() / "cmudict-en-us.dict")
        # Numbers name the dictionary entries: written words may hold anything.
        self._numbers = {word: number for number, word in enumerate(lexicon)}
        self._entries = tuple(lexicon.values())
        set_loglevel("FATAL")
        with tempfile.TemporaryDirectory() as folder:
            dictionary = Path(folder) / "words.dict"
            dictionary.write_text("".join(self._dictionary_lines()), encoding="ascii")
            self._decoder = Decoder(
                hmm=str(model_folder() / "en-us"),
                dict=str(dictionary),
                lm=None,
                loglevel="FATAL",
                samprate=MODEL_RATE_HZ,
            )

    def _dictionary_lines(self) -> Iterator[str]:
        for number, variants in enumerate(self._entries):
            for variant, sounds in enumerate(variants):
                name = f"w{number}" if variant == 0 else f"w{number}({variant + 1})"
                yield f"{name} {' '.join(sound for sound, _ in sounds)}\n"

    def align(self, first: int, last: int, start_ms: int, end_ms: int) -> list[AlignedWord]:
        """Find words first..last-1 of the text in start_ms..end_ms of the WAV.

        A text that says more than the recording is tried again with words that may be left out.
        """
        found = self._align(first, last, start_ms, end_ms, may_skip=False)
        if len(found) >= COMPLETE_SHARE * (last - first):
            return found
        return max(found, self._align(first, last, start_ms, end_ms, may_skip=True), key=len)

    def _align(
        self, first: int, last: int, start_ms: int, end_ms: int, *, may_skip: bool
    ) -> list[AlignedWord]:
        found: list[AlignedWord] = []
        at_ms, word = start_ms, first
        while word < last and at_ms < end_ms:
            spans, final = self._next_words(word, last, at_ms, end_ms, may_skip)
            found += spans
            if final:
                break
            if spans:
                word = spans[-1].index + 1
                at_ms = max(spans[-1].end_ms, at_ms + SHORTEST_STEP_MS)
            else:
                # Music, or another text: go on behind it.
                at_ms += KEEP_UNTIL_MS
        return found

    def _next_words(
        self, word: int, last: int, at_ms: int, end_ms: int, may_skip: bool
    ) -> tuple[list[AlignedWord], bool]:
        """Words from the window at `at_ms`, and whether it was the last window."""
        if end_ms - at_ms <= WINDOW_MS[1]:
            ahead = self._ahead(word, last, end_ms - at_ms)
            spans = self._window(_Grammar(word, ahead, ahead == last, may_skip), at_ms, end_ms)
            return spans or self._window(_Grammar(word, ahead, False, may_skip), at_ms, end_ms), True
        # Cut where nobody speaks, or the last word is cut too and the grammar cannot end.
        for earliest, latest in (WINDOW_MS, SECOND_TRY_MS):
            until_ms = quietest_moment(self._levels, at_ms + earliest, at_ms + latest)
            ahead = self._ahead(word, last, until_ms - at_ms)
            spans = self._window(_Grammar(word, ahead, False, may_skip), at_ms, until_ms)
            # Near the end a word may have swallowed others, or the pause behind it.
            settled = [item for item in spans if item.end_ms < until_ms - earliest // 5] or spans[:1]
            if settled:
                return settled, False
        return [], False

    def _ahead(self, word: int, last: int, window_ms: int) -> int:
        return min(last, word + math.ceil(window_ms / 1000 * WORDS_PER_SECOND) + 8)

    def _window(self, grammar: _Grammar, start_ms: int, end_ms: int) -> list[AlignedWord]:
        sound = model_sound(self._wav, start_ms, end_ms)
        spans, explained = self._recognise_words(grammar, sound)
        if not spans:
            return []
        phones = self._phones(spans, sound[:explained])
        return [
            AlignedWord(
                index,
                start_ms + begin * FRAME_MS,
                min(start_ms + end * FRAME_MS, end_ms),
                tuple(
                    _phone(item, start_ms + start * FRAME_MS, start_ms + stop * FRAME_MS)
                    for item, start, stop in parts
                ),
            )
            for index, (_, begin, end), parts in zip(self._places(grammar, spans), spans, phones, strict=True)
        ]

    def _places(self, grammar: _Grammar, spans: Sequence[_Span]) -> list[int]:
        """Returns the indices of the recognised words: the earliest that fit, where a skipped word leaves a
        choice.
        """
        places: list[int] = []
        at = grammar.first
        for name, _, _ in spans:
            number = int(name[1:].partition("(")[0])
            while self._numbers[self._words[at]] != number:
                at += 1
            places.append(at)
            at += 1
        return places

    def _recognise_words(self, grammar: _Grammar, sound: Samples) -> tuple[list[_Span], int]:
        """First pass: the words heard, in frames (end exclusive), and how many samples they explain."""
        names = [f"w{self._numbers[word]}" for word in self._words[grammar.first : grammar.last]]
        self._decoder.add_fsg(
            "text", self._decoder.create_fsg("text", 0, len(names) + 1, grammar.arcs(names))
        )
        self._decoder.activate_search("text")
        self._hear(sound)
        segments = [(item.word, item.start_frame, item.end_frame + 1) for item in self._decoder.seg() or ()]
        explained = segments[-1][2] * SAMPLES_PER_FRAME + TAIL_SAMPLES if segments else 0
        return [segment for segment in segments if segment[0].startswith("w")], explained

    def _phones(self, spans: Sequence[_Span], sound: Samples) -> list[list[tuple[Sound, int, int]]]:
        """Second pass, over exactly what the first explained: the sounds within the words, evenly divided
        where the aligner gives up."""
        try:
            self._decoder.set_alignment()
            self._hear(sound)
        except RuntimeError:
            return [_even(self._sounds(name), begin, end) for name, begin, end in spans]
        aligned = [
            [(phone.start, phone.start + phone.duration) for phone in entry]
            for entry in self._decoder.get_alignment() or ()
            if entry.name.startswith("w")
        ]
        phones: list[list[tuple[Sound, int, int]]] = []
        for index, (name, begin, end) in enumerate(spans):
            sounds = self._sounds(name)
            if index < len(aligned) and len(aligned[index]) == len(sounds):
                phones.append([(sound_, *span) for sound_, span in zip(sounds, aligned[index], strict=True)])
            else:
                phones.append(_even(sounds, begin, end))
        return phones

    def _hear(self, sound: Samples) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(sound.tobytes(), full_utt=True)
        self._decoder.end_utt()

    def _sounds(self, name: str) -> Pronunciation:
        number, _, variant = name[1:].partition("(")
        return self._entries[int(number)][int(variant.rstrip(")")) - 1 if variant else 0]


def _even(sounds: Pronunciation, begin: int, end: int) -> list[tuple[Sound, int, int]]:
    edges = [begin + (end - begin) * number // len(sounds) for number in range(len(sounds) + 1)]
    return list(zip(sounds, edges[:-1], edges[1:], strict=True))


def _phone(sound: Sound, start_ms: int, end_ms: int) -> Phone:
    return Phone(display_ipa(*sound, end_ms - start_ms), start_ms, end_ms)
