"""One sentence as the reader sees it: tokens, quoted or colon-led text, and mentions of what exists."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.understanding.spelling import Spelling
from agent.understanding.tagger import TokenView
from agent.understanding.tokens import Token, tokenize
from agent.understanding.world import Mention, kind_of_live

_QUOTES = re.compile(
    r'"([^"]{1,4000})"|“([^”]{1,4000})”|„([^“”"]{1,4000})[“”"]|«([^»]{1,4000})»|»([^«]{1,4000})«'
    r"|‚([^‘]{1,4000})‘|‘([^’]{1,4000})’(?!\w)|(?<![\w'])'([^'\n]{2,400})'(?!\w)|```(?:\w+\n)?([\s\S]+?)```|`([^`]{1,4000})`"
)
_TAIL = re.compile(r"(?<=[^\W\d_])\s?[:：]\s+(?=\S)|[:：]\n+|(?<=\w)\s+[–—-]\s+(?=\S)|\n\s*\n")
_PATH = re.compile(
    r"(?<!\S)(?:~?\.{0,2}/\S*\w|\S+\.(?:jpe?g|png|heic|webp|gif|bmp|tiff?|mp4))\b|sha256:[0-9a-f]{8,}"
)
_ID = re.compile(r"[a-z]+_[0-9A-Za-z]{3,}|(?=\w*\d)(?=\w*[a-z])[0-9a-z]{6,}")
_TIME = re.compile(r"\d{1,2}[:.]\d{2}")
_HEX = re.compile(r"#[0-9A-Fa-f]{6}")
_QUALITY = re.compile(r"\d{3,4}p|[248]k")


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that is meant word for word; `start` and `end` with its marks, in characters."""

    start: int
    end: int
    text: str
    text_start: int


def quotations(text: str) -> list[Literal]:
    """Returns the quotations and code of a text."""
    found = []
    for match in _QUOTES.finditer(text):
        group = next(index for index, value in enumerate(match.groups(), 1) if value is not None)
        found.append(Literal(match.start(), match.end(), match[group], match.start(group)))
    return found


def tails(text: str) -> list[Literal]:
    """Returns what follows a colon, a dash or an empty line, to the end; each is only perhaps a literal."""
    inside = quotations(text)
    starts = [one.start for one in inside]
    found = []
    for match in _TAIL.finditer(text):
        before = bisect_left(starts, match.start())
        is_inside = before > 0 and match.start() < inside[before - 1].end
        is_dash_before_quotation = match[0].strip() in ("–", "—", "-") and before < len(inside)
        if match.start() > 0 and not is_inside and not is_dash_before_quotation:
            found.append(Literal(match.start(), len(text), text[match.end() :].strip(), match.end()))
    return found


@dataclass(frozen=True)
class Sentence:
    """`literals` are hidden from the classifier and the tagger: what is quoted is never a command."""

    text: str
    literals: tuple[Literal, ...] = ()
    mentions: tuple[Mention, ...] = ()
    tokens: tuple[Token, ...] = ()
    spelt: tuple[str, ...] = ()
    """The words of the tokens, corrected; empty where nothing was."""

    @classmethod
    def of(
        cls, text: str, literals: Sequence[Literal] = (), tokens: Sequence[Token] | None = None
    ) -> Sentence:
        found = list(tokenize(text) if tokens is None else tokens)
        remaining: list[Token] = []
        for token in found:
            inside = next((one for one in literals if one.start <= token.start < one.end), None)
            if inside is None:
                remaining.append(token)
            elif not remaining or remaining[-1].start != inside.start:
                remaining.append(Token("<text>", inside.start, inside.end))
        return cls(text, tuple(literals), (), tuple(remaining))

    def with_mentions(self, mentions: Sequence[Mention], spelling: Spelling | None = None) -> Sentence:
        """Returns the sentence with what it names; other words are spelt by the vocabulary."""
        spelt: tuple[str, ...] = ()
        if spelling is not None:
            named = {place for one in mentions if one.sureness >= 0.75 for place in range(one.start, one.end)}
            spelt = tuple(
                word_of(token) if place in named else spelling.correct(word_of(token))
                for place, token in enumerate(self.tokens)
            )
        return replace(self, mentions=tuple(mentions), spelt=spelt)

    def word(self, place: int) -> str:
        """Returns the word of a token as the classifier sees it."""
        return self.spelt[place] if self.spelt else word_of(self.tokens[place])

    def kinds_at(self, place: int) -> tuple[str, ...]:
        """Returns the kinds that a token may name; the words around it tell whether it is in the trash."""
        return tuple(
            sorted({kind_of_live(one.thing.kind) for one in self.mentions if one.start <= place < one.end})
        )

    def words(self) -> list[str]:
        """Returns the words for the classifier: names, numbers and literals by their kinds."""
        found: list[str] = []
        place = 0
        while place < len(self.tokens):
            here = [one for one in self.mentions if one.start == place and one.sureness >= 0.75]
            if here:
                longest = max(one.end for one in here)
                kinds = sorted({kind_of_live(one.thing.kind) for one in here if one.end == longest})
                found.append(f"<{'|'.join(kinds)}>")
                place = longest
                continue
            found.append(self.word(place))
            place += 1
        return found

    def words_before(self, place: int) -> list[str]:
        """Returns the words before a token, names by their kinds where they are sure."""
        return replace(self, tokens=self.tokens[:place], spelt=self.spelt[:place]).words()

    def views(self) -> list[TokenView]:
        """Returns what the tagger sees."""
        return [
            TokenView(self.word(place), shape_of(token), self.kinds_at(place))
            for place, token in enumerate(self.tokens)
        ]

    def span_text(self, start: int, end: int) -> str:
        """Returns the words between two tokens as they were typed, without the marks of a literal."""
        tokens = self.tokens[start:end]
        if tokens[0].text == "<text>":
            return next(one.text for one in self.literals if one.start == tokens[0].start)
        if tokens[-1].text == "<text>" and len(tokens) < 4:
            return next(one.text for one in self.literals if one.start == tokens[-1].start)
        return self.text[tokens[0].start : tokens[-1].end]


def word_of(token: Token) -> str:
    text = token.text
    if text == "<text>":
        return text
    if text.isdigit():
        return "<n>" if len(text) < 5 else "<N>"
    if _TIME.fullmatch(text):
        return "<time>"
    if _HEX.fullmatch(text):
        return "<hex>"
    lower = token.lower
    if _QUALITY.fullmatch(lower):
        return "<quality>"
    if _PATH.fullmatch(text):
        return "<path>"
    return "<id>" if _ID.fullmatch(lower) and any(char.isdigit() for char in lower) else lower


def shape_of(token: Token) -> str:
    text = token.text
    if text == "<text>":
        return "text"
    if text[0].isdigit():
        return "digit"
    if not text[0].isalnum():
        return text[0]
    kind = "upper" if text.isupper() and len(text) > 1 else "title" if text[0].isupper() else "lower"
    return f"{kind}-" if "-" in text or "_" in text else kind


def text_features(before: Sequence[str], words: Sequence[str], intent: str) -> set[str]:
    """Returns the features that tell which argument of an intent a quotation is."""
    near = ["^", "^", "^", *before][-3:]
    found = {
        f"{intent}|-1{near[2]}",
        f"{intent}|-2{near[1]} {near[2]}",
        f"{intent}|-3{near[0]} {near[1]} {near[2]}",
        f"a{intent}",
        f"-1{near[2]}",
        f"-2{near[1]} {near[2]}",
    }
    found.update(f"{intent}|b{word}" for word in before[-8:])
    found.update(f"{intent}|w{word}" for word in words)
    found.update(f"w{word}" for word in before[-8:])
    return found
