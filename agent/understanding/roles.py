"""Reads a presenter who is called by the role: “let the fox say it” is about Finn, Fox."""

from __future__ import annotations

import re

from agent.understanding import changes
from agent.understanding.sentence import quotations
from agent.understanding.world import World

MOST_WORDS = 9
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
