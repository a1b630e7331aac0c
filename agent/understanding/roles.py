"""Reads presenters who are called by the role, “let the fox say it”, and names taken back at once."""

from __future__ import annotations

import re

from agent.understanding import changes
from agent.understanding.sentence import quotations
from agent.understanding.tokens import tokenize
from agent.understanding.world import SURE_NAME, World

MOST_WORDS, MOST_REPAIR_WORDS, MOST_REPAIRED_WORDS = 9, 4, 14
_ROLE = "ROLE"
"""Where the patterns of `changes/*.yaml` have the roles."""


def with_names_for_roles(text: str, world: World) -> str:
    """Returns a short text with the name of a presenter in place of the role, where that one shall speak. A
    text that has words to be spoken stays as it is.
    """
    if len(text.split()) > MOST_WORDS or ":" in text or quotations(text):
        return text
    roles: dict[str, str] = {}
    for one in world.of_kind("persona"):
        # “The presenter” is any of them.
        if one.text and not world.has(one.text) and not changes.is_kind(one.text):
            # Of two with one role, neither is meant alone.
            roles[one.text.lower()] = "" if one.text.lower() in roles else one.name
    roles |= {word: roles.get(role, "") for word, role in changes.change_words().roles.items()}
    named = "|".join(re.escape(role) for role, name in roles.items() if name and role in text.lower())
    if not named:
        return text
    pattern = changes.change_words().patterns["by_role"].pattern.replace(_ROLE, f"(?:{named})")
    match = re.search(pattern, text, re.IGNORECASE)
    if match is None:
        return text
    place = next(at for at, one in enumerate(match.groups(), start=1) if one)
    return f"{text[: match.start(place)]}{roles[_role(match[place])]}{text[match.end(place) :]}"


def _role(words: str) -> str:
    """Returns a role without its article."""
    return words.lower().partition(" ")[2]


def with_repair(text: str, world: World) -> str:
    """Returns a short order with the presenter that it ends with in place of the one that it takes back: “and
    Vera instead of Mei. Or no, Harjit” is “and Harjit instead of Mei”.
    """
    if len(text.split()) > MOST_REPAIRED_WORDS or ":" in text or quotations(text):
        return text
    found = changes.change_words().patterns["takes_name_back"].search(text)
    if found is None:
        return text
    before, after = text[: found.start()], text[found.end() :].strip(" .!")
    if len(after.split()) > MOST_REPAIR_WORDS:
        return text
    new = {one.thing for one in world.mentions(tokenize(after)) if one.sureness >= SURE_NAME}
    if [one.kind for one in new] != ["persona"]:
        # What is done to machines and videos is asked about.
        return text
    [name] = (one.name for one in new)
    for old in (one.thing.name for one in world.mentions(tokenize(before)) if one.thing.kind == "persona"):
        place = before.lower().find(old.lower())
        if old != name and place >= 0:
            return f"{before[:place]}{name}{before[place + len(old) :]}".rstrip(" .,;")
    return text
