"""Divides a given text into scenes: at headings, paragraphs and sentences, never inside one; for imports and
the agent's tools.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from avatar.spec import is_spoken
from pydantic import BaseModel

from soundstage.errors import Invalid
from studio.renders.specs import title_of
from studio.scenes.speaking_time import speaking_ms

MAX_SCENES = 60
SCENE_TITLE_CHARS = 120
SCENE_MS = 30_000
"""The length of a scene, about, when their number is not requested."""
MAX_SHORT_PARAGRAPHS = 8
"""So many paragraphs are scenes of their own, however short they are."""
PARAGRAPH_IS_WORTH = 0.35
"""Of a scene's length: so much less even may scenes be when one then ends where a paragraph does."""


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


class PlannedScene(BaseModel, frozen=True):
    """One planned scene; without a script it waits for one."""

    title: str = ""
    script: str = ""
    heading: str = ""
    background: str | None = None


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


def scenes_of(text: str, count: int | None = None) -> tuple[PlannedScene, ...]:
    """At most `count` scenes, each of whole sentences; fewer when there are fewer sentences.

    Headings divide when there are as many as scenes are wanted, then paragraphs; otherwise the scenes become
    about equally long to say. Raises Invalid `script.empty`, `script.too_many_scenes`.
    """
    parts = outline(text)
    if not parts.sentences:
        raise Invalid(
            "script.empty", "There is nothing to say: the text is empty.", "Give at least one sentence."
        )
    number = _scene_count(parts) if count is None else min(count, len(parts.sentences))
    if number > MAX_SCENES:
        raise Invalid(
            "script.too_many_scenes",
            f"This makes {number} scenes; a script has {MAX_SCENES} at most.",
            "Say how many scenes you want, or give a shorter text.",
        )
    if number == parts.sections:
        groups = _runs(parts.sentences, lambda one: one.section)
    elif number == parts.paragraphs:
        groups = _runs(parts.sentences, lambda one: one.paragraph)
    else:
        groups = _even(parts.sentences, number)
    return tuple(_scene(group, parts.titles) for group in groups)


def _scene_count(parts: Outline) -> int:
    """Returns the number of parts in the text, else one for every half minute."""
    if parts.sections > 1:
        return parts.sections
    length = sum(speaking_ms(one.text) for one in parts.sentences)
    by_length = max(1, round(length / SCENE_MS))
    if 1 < parts.paragraphs <= max(MAX_SHORT_PARAGRAPHS, by_length):
        return parts.paragraphs
    return min(by_length, len(parts.sentences))


def _runs(sentences: Sequence[Sentence], key: Callable[[Sentence], int]) -> list[list[Sentence]]:
    return [list(run) for _, run in groupby(sentences, key)]


def _even(sentences: Sequence[Sentence], count: int) -> list[list[Sentence]]:
    """Cuts where scenes of equal length would begin, or near there at the end of a paragraph."""
    ends = list(accumulate(speaking_ms(one.text) for one in sentences))
    fair = ends[-1] / count
    cuts = [0]
    for number in range(1, count):
        places = range(cuts[-1] + 1, len(sentences) - (count - number) + 1)
        cuts.append(min(places, key=lambda place: _badness(sentences, ends, place, number * fair, fair)))
    return [list(sentences[start:end]) for start, end in zip(cuts, [*cuts[1:], len(sentences)], strict=True)]


def _badness(
    sentences: Sequence[Sentence], ends: Sequence[int], place: int, target_ms: float, fair_ms: float
) -> float:
    """Returns the cost of ending a scene before sentence `place`, in lengths of a scene."""
    away = abs(ends[place - 1] - target_ms) / fair_ms
    before, after = sentences[place - 1], sentences[place]
    inside = (before.paragraph == after.paragraph) + (before.section == after.section)
    return away + PARAGRAPH_IS_WORTH * inside


def _scene(group: Sequence[Sentence], titles: Sequence[str]) -> PlannedScene:
    """Its heading when it begins with one, else its own first words."""
    paragraphs = [" ".join(one.text for one in run) for run in _runs(group, lambda one: one.paragraph)]
    title = titles[group[0].section] or title_of(group[0].text)
    return PlannedScene(title=title[:SCENE_TITLE_CHARS], script="\n\n".join(paragraphs))
