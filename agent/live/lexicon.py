"""The words of a language that tell a feeling, from `agent/live/words/`; read when they are first needed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, Field

Emotion = Literal[
    "neutral", "happy", "sad", "angry", "surprised", "curious", "focused", "playful", "concerned", "confident"
]
EMOTIONS: tuple[Emotion, ...] = get_args(Emotion)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_PARTED = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_SHORTEST_BEGINNING = 3


@dataclass(frozen=True, slots=True)
class Lexicon:
    """One language. `negates_before`: how far a negation works on words that stand before it."""

    language: str
    exact: Mapping[str, Emotion]
    beginnings: Mapping[str, Emotion]
    negations: frozenset[str]
    intensifiers: frozenset[str]
    negates_before: int
    elides: bool

    def words_of(self, clause: str) -> Sequence[str]:
        """In small letters; where words are joined by apostrophes (`elides`), each by itself."""
        found = (_PARTED if self.elides else _WORD).findall(clause)
        return [word.casefold().replace("’", "'") for word in found]

    def feeling_of(self, word: str) -> Emotion | None:
        """By the word itself, else by the longest beginning of it that is known."""
        if (feeling := self.exact.get(word)) is not None:
            return feeling
        for end in range(len(word), _SHORTEST_BEGINNING - 1, -1):
            if (feeling := self.beginnings.get(word[:end])) is not None:
                return feeling
        return None


class _File(BaseModel, extra="forbid"):
    negations: str
    intensifiers: str
    negates_before: int = Field(default=0, ge=0, le=5)
    elides: bool = False
    feelings: dict[Emotion, str]


def lexicon_of(language: str) -> Lexicon | None:
    """By the language of a BCP 47 tag, whatever its region; None where there is no list of it."""
    primary = re.split(r"[-_]", language.strip().casefold())[0]
    return _read(primary) if primary in languages() else None


@cache
def languages() -> frozenset[str]:
    """Of which there is a list."""
    return frozenset(
        file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml")
    )


def _folder() -> Traversable:
    return files("agent") / "live" / "words"


@cache
def _read(language: str) -> Lexicon:
    text = (_folder() / f"{language}.yaml").read_text(encoding="utf-8")
    found = _File.model_validate(yaml.safe_load(text))
    by_word = [(word, feeling) for feeling, words in found.feelings.items() for word in _words(words)]
    return Lexicon(
        language=language,
        exact={word: feeling for word, feeling in by_word if not word.endswith("*")},
        beginnings={word[:-1]: feeling for word, feeling in by_word if word.endswith("*")},
        negations=frozenset(_words(found.negations)),
        intensifiers=frozenset(_words(found.intensifiers)),
        negates_before=found.negates_before,
        elides=found.elides,
    )


def _words(text: str) -> list[str]:
    return text.casefold().split()
