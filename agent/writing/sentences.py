"""Takes a text apart into headings, paragraphs and sentences, without changing a word; used by dividing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from avatar.spec import is_spoken

_EMPTY_LINE = re.compile(r"\n[ \t\r]*\n")
# "# The moon" of Markdown; "Scene 2: The moon", but not "Scene 2 was the best".
# No two parts of a pattern may share a run of blanks or marks: a long run would be tried in every division.
_MARKED = re.compile(r"\s{0,3}#{1,6}\s+(?P<title>\S.*)?")
_NUMBERED = re.compile(
    r"\s*(?:\*\*)?(?:scene|part)\s+(?:\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten)"
    r"(?:\*\*)?\s*+(?:[:.)–—-](?P<rest>.*)|(?:\*\*)?\s*)",
    re.IGNORECASE,
)
TITLE_CHARS = 100
# After an end mark and its closing quotes; the full-width marks need no space behind them.
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)|[。！？]+[」』”’]*")
_SHORT_FORM = re.compile(
    r"(?:^|[\s(\"“])(?:mr|mrs|ms|dr|prof|st|sr|jr|vs|no|nos|fig|e\.g|i\.e|approx|cf|al|u\.s|a\.m|p\.m|[A-Z])\.$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence as it was written. `paragraph` and `section` count from 0 within the text."""

    text: str
    paragraph: int
    section: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A text taken apart. `titles` has one entry per section, empty where no heading stands before it."""

    sentences: tuple[Sentence, ...]
    titles: tuple[str, ...]

    @property
    def sections(self) -> int:
        """Sections that hold something to say."""
        return len({sentence.section for sentence in self.sentences})

    @property
    def paragraphs(self) -> int:
        return len({sentence.paragraph for sentence in self.sentences})


def outline(text: str) -> Outline:
    """Returns the sentences of a text in order, and its headings as titles, which are not spoken."""
    titles, found = [""], []
    for number, part in enumerate(_parts(text)):
        if part.heading is not None:
            titles.append(part.heading)
        spoken = _join_unspoken(sentences(part.body))
        found += [Sentence(one, number, len(titles) - 1) for one in spoken]
    return Outline(tuple(found), tuple(titles))


def sentences(paragraph: str) -> list[str]:
    """Returns the sentences; a point behind an abbreviation or an initial ends none."""
    found, start = [], 0
    for match in _END.finditer(paragraph):
        if match[0] == "." and _SHORT_FORM.search(paragraph[max(start, match.start() - 8) : match.end()]):
            continue
        found.append(paragraph[start : match.end()].strip())
        start = match.end()
    return [one for one in (*found, paragraph[start:].strip()) if one]


@dataclass(slots=True)
class _Part:
    """A paragraph, with the heading right before it if there is one. `spoken`: unless the heading is all."""

    heading: str | None = None
    body: str = ""
    spoken: str = ""


def _parts(text: str) -> list[_Part]:
    parts = [_Part()]
    for block in _EMPTY_LINE.split(text.replace("\r\n", "\n")):
        if parts[-1].body:
            parts.append(_Part())
        for line in block.split("\n"):
            heading = _heading(line)
            if heading is not None:
                parts.append(heading)
            else:
                parts[-1].body += f"{line}\n"
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        # "Scene 3: They meet" with nothing below it: these are its words.
        if part.spoken and not part.body.strip() and (following is None or following.heading is not None):
            part.heading, part.body = "", part.spoken
    return parts


def _heading(line: str) -> _Part | None:
    """The part that such a line begins; None for a line like any other."""
    marked = _MARKED.fullmatch(line)
    title = (marked["title"] or "").rstrip().rstrip("#").rstrip() if marked else ""
    if marked and len(title) <= TITLE_CHARS:
        return _Part(heading=title)
    numbered = _NUMBERED.fullmatch(line)
    if numbered is None:
        return None
    rest = (numbered["rest"] or "").strip().strip(" *")
    if rest.endswith((".", "!", "?", "…")) or len(rest) > TITLE_CHARS:
        # "Scene 1: The tide comes in." is no title.
        return _Part(heading="", body=f"{rest}\n")
    return _Part(heading=rest, spoken=rest)


def _join_unspoken(parts: list[str]) -> list[str]:
    """Joins parts without a word, such as a line of stars, to the sentence before."""
    joined: list[str] = []
    for part in parts:
        if is_spoken(part):
            joined.append(part)
        elif joined:
            joined[-1] = f"{joined[-1]} {part}"
    return joined
