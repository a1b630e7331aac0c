"""Divides a given text into scenes: at headings, paragraphs and sentences, never inside one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, groupby

from agent.writing.scenes import MOST_SCENES, SCENE_TITLE_CHARS, PlannedScene
from agent.writing.sentences import Outline, Sentence, outline
from soundstage.errors import Invalid
from studio.renders.specs import title_of
from studio.scenes.speaking_time import speaking_ms

SCENE_MS = 30_000
"""About how long a scene is when nobody says how many there shall be."""
MOST_SHORT_PARAGRAPHS = 8
"""So many paragraphs are scenes of their own, however short they are."""
PARAGRAPH_IS_WORTH = 0.35
"""Of a scene's length: so much less even may scenes be when one then ends where a paragraph does."""


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
    if number > MOST_SCENES:
        raise Invalid(
            "script.too_many_scenes",
            f"This makes {number} scenes; a script has {MOST_SCENES} at most.",
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
    if 1 < parts.paragraphs <= max(MOST_SHORT_PARAGRAPHS, by_length):
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
