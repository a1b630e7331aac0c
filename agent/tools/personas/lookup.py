"""Finds the persona that a user names; shared by the tools that make videos, projects and scripts."""

from __future__ import annotations

from agent.presentation.text import name_hint
from agent.tools.record import ToolContext
from soundstage.errors import Conflict, NotFound
from studio.personas.schemas import Persona


def persona_named(context: ToolContext, reference: str) -> Persona:
    """By id, else by name without regard to case; a near miss is told, never guessed, nor is it where several
    have the name.
    """
    personas = context.studio.library.list()
    folded = reference.strip().casefold()
    by_id = [one for one in personas if one.id == folded]
    found = by_id or [one for one in personas if one.name.casefold() == folded]
    if len(found) > 1:
        ids = ", ".join(one.id for one in found)
        raise Conflict(
            "persona.several", f"{len(found)} personas are called {reference.strip()}.", f"Say its id: {ids}."
        )
    if found:
        return found[0]
    if names := sorted(persona.name for persona in personas):
        hint = name_hint(reference.strip().title(), names)
    else:
        folder = context.studio.library.shipped
        hint = f"There are none in {folder}; set personas_dir to a folder with some."
    raise NotFound("persona.not_found", f"There is no persona called {reference.strip()!r}.", hint)


def name_of(context: ToolContext, persona_id: str) -> str:
    """Returns the name of a persona, or the id of a deleted one."""
    known = (one.name for one in context.studio.library.list() if one.id == persona_id)
    return next(known, persona_id)
