"""SSML that people paste into a script (W3C SSML 1.1, and what vendors' voices add to it): turned into the
script's own marks; `avatar.speech.markup` calls it first.

`break`, `emphasis`, `sub`, `say-as` and the rate of `prosody` are honoured; `speak`, `p`, `s`, `w`, `token`
and `mark` need nothing. Every other tag stays in the text for `parse_script`, which reports it.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

from avatar.tracks import SpeechNote

TAG = (
    r"(?<!\\)<(?P<close>/)?(?P<tag>[A-Za-z][\w.-]*(?::[A-Za-z][\w.-]*)?)"
    r"(?P<attributes>(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[“”„][^“”<>]*[“”]|[^\s\"'“”<>/]+))*)"
    r"\s*/?\s*>"
)
"""A tag as XML writes it, in any case, also with the quotes of a word processor or none. `a < b` is none."""
SLOWEST, FASTEST = 0.5, 2.0

_ELEMENT = re.compile(TAG)
_ATTRIBUTE = re.compile(
    r"([\w:.-]+)\s*=\s*(?:\"([^\"<>]*)\"|'([^'<>]*)'|[“”„]([^“”<>]*)[“”]|([^\s\"'“”<>/]+))"
)
# A comment, a declaration. None reaches into the next one: text without an end is read once, not n times.
_ASIDE = re.compile(r"<!--(?:(?!<!--).)*?-->|<\?[^<>]*\?>|<!DOCTYPE[^<>]*>", re.DOTALL | re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[((?:(?!<!\[CDATA\[).)*?)\]\]>", re.DOTALL)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});")
_ESCAPED_TAG = re.compile(r"&lt;/?(?:speak|break|emphasis|prosody|say-as|sub)\b", re.IGNORECASE)
_TIME = re.compile(r"\+?(\d{0,6}(?:\.\d{1,6})?)\s*(ms|s)", re.IGNORECASE)
_PERCENT = re.compile(r"([+-]?)(\d{1,4}(?:\.\d{1,4})?)\s*(%?)")

_BREAKS_MS = {"none": 0, "x-weak": 100, "weak": 250, "medium": 500, "strong": 750, "x-strong": 1200}
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
_SPELLED = ("characters", "spell-out", "spell", "verbatim", "digits", "telephone")
_PLAIN = ("speak", "s", "w", "token", "mark")
KNOWN = frozenset((*_PLAIN, "p", "break", "emphasis", "prosody", "say-as", "sub"))


@dataclass(slots=True)
class Ssml:
    """The text with marks in place of elements. Spans count characters of `text`.

    rates: (first, last, factor), nested ones multiplied. pronunciation: word -> what is said for it.
    """

    text: str
    strong: list[tuple[int, int]] = field(default_factory=list)
    rates: list[tuple[int, int, float]] = field(default_factory=list)
    pronunciation: dict[str, str] = field(default_factory=dict)
    notes: list[SpeechNote] = field(default_factory=list)


def read_ssml(text: str) -> Ssml:
    """Without one element that SSML knows the text comes back as it is. Never fails."""
    if _ESCAPED_TAG.search(text):  # copied from the source of a page
        text = html.unescape(text)
    if not any(match["tag"].lower() in KNOWN for match in _ELEMENT.finditer(text)):
        return Ssml(text)
    return _Reader().read(_CDATA.sub(lambda match: html.escape(match[1]), _ASIDE.sub(" ", text)))


@dataclass(slots=True)
class _Open:
    name: str
    attributes: dict[str, str]
    at: int
    part: int
    rate: float = 1.0


class _Reader:
    """Builds the text, and remembers which elements are open."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._open: list[_Open] = []
        self._result = Ssml("")

    def read(self, text: str) -> Ssml:
        begin = 0
        for match in _ELEMENT.finditer(text):
            self._write(_text(text[begin : match.start()]))
            begin = match.end()
            name = match["tag"].lower()
            if name not in KNOWN:
                self._write(match.group())
            elif match["close"]:
                self._end(name)
            else:
                self._begin(name, _attributes(match["attributes"]))
                if match.group().rstrip("> \t\r\n").endswith("/"):
                    self._end(name)
        self._write(_text(text[begin:]))
        while self._open:
            self._close(self._open.pop())
        self._result.text = "".join(self._parts)
        return self._result

    def _write(self, part: str) -> None:
        self._parts.append(part)
        self._length += len(part)

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == "p":
            self._write("\n\n")
        elif name == "break":
            self._write(self._break(attributes))
        elif name in ("emphasis", "prosody", "say-as", "sub"):
            rate = self._rate(attributes) if name == "prosody" else 1.0
            self._open.append(_Open(name, attributes, self._length, len(self._parts), rate))

    def _end(self, name: str) -> None:
        """Closes the innermost element of that name, and what was left open in it."""
        if name == "p":
            self._write("\n\n")
        if any(one.name == name for one in self._open):
            while (one := self._open.pop()).name != name:
                self._close(one)
            self._close(one)

    def _close(self, one: _Open) -> None:
        span = (one.at, self._length)
        if one.name == "emphasis" and one.attributes.get("level", "moderate").lower() not in (
            "none",
            "reduced",
        ):
            self._result.strong.append(span)
        elif one.name == "prosody" and one.rate != 1.0:
            self._result.rates.append((*span, one.rate))
        elif one.name == "sub" and one.attributes.get("alias", "").strip():
            self._substitute(one)
        elif one.name == "say-as":
            self._say_as(one)

    def _break(self, attributes: dict[str, str]) -> str:
        time, strength = attributes.get("time", ""), attributes.get("strength", "medium").lower()
        if time:
            found = _TIME.fullmatch(time.strip())
            if found is not None and found[1].strip("."):
                return f" [pause {float(found[1]) * (1000 if found[2].lower() == 's' else 1):.0f}ms] "
            self._note(f'<break time="{time}"> is no time: the pause is 500 ms.')
        pause_ms = _BREAKS_MS.get(strength, 500)
        return f" [pause {pause_ms}ms] " if pause_ms else " "

    def _rate(self, attributes: dict[str, str]) -> float:
        if others := sorted(set(attributes) - {"rate"}):
            self._note(f"<prosody> changes the pace alone; {', '.join(others)} is left as it is.")
        rate = attributes.get("rate", "medium").strip().lower()
        if rate in _RATES:
            return _RATES[rate]
        found = _PERCENT.fullmatch(rate)
        if found is None:
            self._note(f'<prosody rate="{rate}"> is no pace: it is left as it is.')
            return 1.0
        amount = float(found[2]) / (100 if found[3] else 1)
        if found[1]:
            amount = 1 + amount if found[1] == "+" else 1 - amount
        return min(max(amount, SLOWEST), FASTEST)

    def _substitute(self, one: _Open) -> None:
        """One word keeps its writing in the captions; of several the alias is all that there is."""
        inner, alias = "".join(self._parts[one.part :]), one.attributes["alias"].strip()
        word = _bare(inner)
        if word:
            self._result.pronunciation[word] = alias
        else:
            del self._parts[one.part :]
            self._length = one.at
            self._write(_text(alias))

    def _say_as(self, one: _Open) -> None:
        kind = one.attributes.get("interpret-as", "").lower()
        if kind not in _SPELLED:
            self._note(f'<say-as interpret-as="{kind}"> is read as the voice reads it.')
            return
        for written in "".join(self._parts[one.part :]).split():
            if (word := _bare(written)) and len(word) > 1:
                self._result.pronunciation[word] = " ".join(char for char in word if char.isalnum())

    def _note(self, sentence: str) -> None:
        self._result.notes.append(SpeechNote("speech.markup_unsupported", sentence))


def is_tag(match: re.Match[str]) -> bool:
    """Returns whether what `TAG` has found is meant as one. A name in brackets, as in `<Jones>`, is text."""
    name = match["tag"]
    return name.lower() in KNOWN or name[0].islower() or bool(match["attributes"])


def _attributes(written: str) -> dict[str, str]:
    return {
        match[1].lower(): html.unescape(next((value for value in match.groups()[1:] if value), ""))
        for match in _ATTRIBUTE.finditer(written)
    }


def _text(part: str) -> str:
    """Entities as characters; one that would be a mark is escaped."""
    return _ENTITY.sub(lambda match: re.sub(r"([\[\]*<>\\])", r"\\\1", html.unescape(match.group())), part)


def _bare(written: str) -> str:
    """Returns the one word in it, without punctuation around; "" for none or several."""
    word = re.sub(r"^\W+|\W+$", "", written)
    return "" if any(char.isspace() for char in word) else word
