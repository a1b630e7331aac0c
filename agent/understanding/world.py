"""Finds what a sentence names of all that exists: by whole names, misspelt ones, and parts of names."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from rapidfuzz.distance import OSA

from agent.understanding import changes
from agent.understanding.tokens import Token

MOST_TOKENS = 80
"""Names are looked for in the beginning of a text."""
LONGEST_NAME = 8
"""Words of a name that are looked for."""
MISSPELT_FROM = 4
"""Shorter names have to be spelt as they are."""
PART_CHARS = 4
"""A shorter word stands for no longer name."""

SURE_NAME = 0.75
"""From this sureness on words are taken for the name that they mention."""
DRAINING = "draining"
"""The state of a machine that takes no work."""
IN_WORK = ("queued", "rendering")
"""The states of a video that has not ended."""

TRASHED = "trashed_"
"""What the kind of a thing in the trash begins with, before its kind outside."""

_SCENE_NUMBER = re.compile(r"(?:scene|szene)\d*")
"""Titles that scenes have by their place: in a sentence they say the place, in whatever project."""
_NOT_WORD = re.compile(r"[\W_]+")
_POSSESSIVE = re.compile(r"['’]s$")


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Returns the letters and digits of a text without case and accents: “Käpt'n Blau” → “kaptnblau”."""
    plain = unicodedata.normalize("NFKD", _POSSESSIVE.sub("", text).casefold())
    return _NOT_WORD.sub("", "".join(char for char in plain if not unicodedata.combining(char)))


def kind_of_live(kind: str) -> str:
    """Returns what kind something in the trash is when it is restored; other kinds are as they are."""
    return kind.removeprefix(TRASHED)


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that has a name. `parent`: of a scene, the project; `number`: its place there; `text`: what
    is spoken in it, where that was looked up, and of a presenter the role; `personas`: of a video, the ids
    of who speaks.
    """

    kind: str
    name: str
    id: str = ""
    state: str = ""
    parent: str = ""
    number: int = 0
    text: str = field(default="", compare=False)
    personas: tuple[str, ...] = field(default=(), compare=False)

    @property
    def is_trashed(self) -> bool:
        return self.kind.startswith(TRASHED)


@dataclass(frozen=True, slots=True)
class Mention:
    """Words of a sentence that name something; `start` and `end` count tokens.

    `sureness`: 1 for the whole name, less for a misspelt one or a part.
    """

    thing: Thing
    start: int
    end: int
    sureness: float

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class World:
    """Everything that a sentence may name, the newest first within a kind."""

    things: tuple[Thing, ...] = ()
    common_words: Collection[str] = field(default=frozenset(), repr=False, compare=False)
    """Words of the language: none of them is a misspelt name or stands for one."""

    def of_kind(self, *kinds: str) -> list[Thing]:
        return [thing for thing in self.things if thing.kind in kinds]

    def names(self) -> dict[str, list[str]]:
        """Returns the names of things by their kind, those in the trash left out."""
        found: dict[str, list[str]] = {}
        for thing in self.things:
            if not thing.kind.startswith("trashed_"):
                found.setdefault(thing.kind, []).append(thing.name)
        return found

    def title_of(self, project: str) -> str:
        """Returns the title of a project that is named by its id or its title."""
        named = (one.name for one in self.of_kind("project") if project in (one.id, one.name))
        return next(named, project)

    def scenes_of(self, project: str) -> list[Thing]:
        """Returns the scenes of a project that is named by its id or its title."""
        title = self.title_of(project)
        return [one for one in self.of_kind("scene") if one.parent == title]

    def film_of_compound(self, stem: str) -> Thing | None:
        """Returns the video whose title is the first part of a German compound, with or without the letter
        that joins it: “Museums” of “Museumsvideo”.
        """
        forms = {fold(stem), fold(stem.removesuffix("s")), fold(stem.removesuffix("n"))}
        return next((one for one in self.of_kind("render") if fold(one.name) in forms), None)

    def films_in_work(self) -> list[Thing]:
        """Returns the videos that wait or are being made."""
        return [one for one in self.of_kind("render") if one.state in IN_WORK]

    def has(self, name: str) -> bool:
        """Returns whether something has the name, in any case and spacing."""
        return fold(name) in self._by_name

    @cached_property
    def _by_name(self) -> dict[str, list[Thing]]:
        found: dict[str, list[Thing]] = defaultdict(list)
        for thing in self.things:
            for name in {fold(thing.name), fold(thing.id)} - {""}:
                if not (thing.kind == "scene" and _SCENE_NUMBER.fullmatch(name)):
                    found[name].append(thing)
        return found

    @cached_property
    def _misspellable(self) -> dict[tuple[str, int], list[str]]:
        """Names that may be misspelt, by first character and length."""
        found: dict[tuple[str, int], list[str]] = defaultdict(list)
        for name in self._by_name:
            if _may_be_misspelt(name):
                found[name[0], len(name)].append(name)
        return found

    @cached_property
    def _by_word(self) -> dict[str, list[tuple[Thing, float]]]:
        """Things by each word of a name with several; with the share of the name that the word is."""
        found: dict[str, list[tuple[Thing, float]]] = defaultdict(list)
        for thing in self.things:
            words = [word for word in (fold(part) for part in re.split(r"[\s_-]+", thing.name)) if word]
            if len(words) > 1 and not (thing.kind == "scene" and _SCENE_NUMBER.fullmatch("".join(words))):
                for word in set(words):
                    if len(word) >= PART_CHARS or word.isdigit():
                        found[word].append((thing, 1 / len(words)))
        return found

    def mentions(self, tokens: Sequence[Token]) -> list[Mention]:
        """Returns all mentions; of the same thing the longest ones, of whole names before parts."""
        folded = [self._folded(token.text) for token in tokens[:MOST_TOKENS]]
        whole = list(self._whole(folded))
        covered = {place for one in whole if one.sureness > 0.9 for place in range(one.start, one.end)}
        parts = [one for one in self._parts(folded) if one.start not in covered]
        return _longest([*whole, *parts])

    def _folded(self, text: str) -> str:
        """Returns what a word is looked up by; of “Arrival-Szene” the name, and not the kind of thing."""
        whole = fold(text)
        name, hyphen, kind = text.partition("-")
        is_compound = hyphen and whole not in self._by_name and kind.lower() in self.common_words
        return fold(name) if is_compound and fold(name) in self._by_name else whole

    def _whole(self, folded: Sequence[str]) -> Iterable[Mention]:
        for start, first in enumerate(folded):
            if not first:
                continue
            text = ""
            for end in range(start + 1, min(start + LONGEST_NAME, len(folded)) + 1):
                if not folded[end - 1]:
                    break
                text += folded[end - 1]
                for thing in self._by_name.get(text, ()):
                    yield Mention(thing, start, end, 1.0)
                # Frequent typing errors are in the vocabulary, too: of several words they are a name's.
                is_vocabulary = all(word in self.common_words for word in folded[start:end])
                if text not in self._by_name and (end - start > 1 or not is_vocabulary):
                    for one in self._misspelt(text, start, end):
                        if not is_vocabulary or len(one.thing.name.split()) > 1:
                            yield one

    def _misspelt(self, text: str, start: int, end: int) -> Iterable[Mention]:
        if not _may_be_misspelt(text):
            return
        most = 1 if len(text) < 8 else 2
        for length in range(len(text) - most, len(text) + most + 1):
            for name in self._misspellable.get((text[0], length), ()):
                distance = OSA.distance(text, name, score_cutoff=most)
                if distance <= most:
                    for thing in self._by_name[name]:
                        yield Mention(thing, start, end, 0.9 - 0.1 * distance)

    def _parts(self, folded: Sequence[str]) -> Iterable[Mention]:
        """Runs of words that belong to one name: “the budget one”, “open day”."""
        shares: dict[Thing, dict[int, float]] = defaultdict(dict)
        for place, word in enumerate(folded):
            for thing, share in self._things_of_word(word):
                shares[thing][place] = share
        # Alone they name nothing: “that clip” is not “Welcome clip”.
        vague = {place for place, word in enumerate(folded) if word.isdigit() or changes.is_kind(word)}
        for thing, places in shares.items():
            if places.keys() <= vague:
                continue
            ordered = sorted(places)
            start, end = ordered[0], ordered[-1] + 1
            if end - start <= LONGEST_NAME:
                yield Mention(thing, start, end, min(0.75, 0.3 + 0.45 * sum(places.values())))

    def _things_of_word(self, word: str) -> Iterable[tuple[Thing, float]]:
        if word in self._by_word:
            return self._by_word[word]
        if len(word) <= PART_CHARS or word in self.common_words:
            return ()
        close = (name for name in self._by_word if abs(len(name) - len(word)) < 2 and name[0] == word[0])
        return [one for name in close if OSA.distance(name, word) <= 1 for one in self._by_word[name]]


def _may_be_misspelt(name: str) -> bool:
    """Returns whether a name is long enough and has no digit: “atlas-2” is no misspelt “atlas”."""
    return len(name) >= MISSPELT_FROM and not any(map(str.isdigit, name))


def _longest(mentions: list[Mention]) -> list[Mention]:
    """Leaves out what a longer or surer mention of any thing covers, and what has the whole name of the same
    thing in it: “Arrival of” is no misspelt “Arrival”.
    """
    whole = {(one.thing, one.start) for one in mentions if one.sureness == 1}
    mentions = [
        one
        for one in mentions
        if one.sureness == 1 or not any((one.thing, place) in whole for place in range(one.start, one.end))
    ]
    best: list[Mention] = []
    for one in sorted(mentions, key=lambda one: (-one.length * one.sureness, one.start)):
        overlapping = [other for other in best if one.start < other.end and other.start < one.end]
        if all(
            other.start == one.start and other.end == one.end and other.sureness == one.sureness
            for other in overlapping
        ):
            best.append(one)
    return sorted(best, key=lambda one: one.start)
