"""Changing the words of a persona, reading files of personas again, and deleting one with its face; acts of
the tool create_persona.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.tools.personas.lookup import persona_named
from agent.tools.plan import Plan, change
from agent.tools.record import ToolContext
from soundstage.errors import NotFound
from studio.people.schemas import ErasePlan
from studio.personas.schemas import Persona, PersonaChange, PersonaEntry

_GOES = (
    ("personas", "Delete the persona"),
    ("consents", "Delete the record of consent"),
    ("voices", "Delete the cloned voice, at its service too"),
    ("assets", "Delete the uploaded file"),
    ("renders", "Stop and delete the video"),
    ("segments", "Delete the finished scene"),
    ("versions", "Take its face out of the kept version of a project"),
    ("out_files", "Delete the file"),
    ("blobs", "Delete what is stored as"),
)
"""Of each list of an ErasePlan, how one thing in it is told."""
_MOST_LINES = 100
"""Of one kind: what is more is one line, which is bound to all of it."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A persona that is no more."""

    id: str
    name: str
    sentence: str


async def plan_words(context: ToolContext, given: str, wanted: PersonaChange) -> Plan:
    """Each word that changes, with the old one; a persona of the operator's is refused, as the act does."""
    persona = persona_named(context, given)
    changed = await context.services.persona_service.update(persona.id, wanted, dry_run=True)
    changes = []
    for field in wanted.changes():
        old, new = getattr(persona, field), getattr(changed, field)
        if new != old:
            was = f"it is “{old}” now" if old else "it has none now"
            changes.append(change(f"Change the {field} of {_called(persona)} to “{new}”", was))
    return Plan(changes=tuple(changes), seconds=0)


async def change_words(context: ToolContext, given: str, wanted: PersonaChange) -> Persona:
    """The persona as it is now."""
    return await context.services.persona_service.update(persona_named(context, given).id, wanted)


async def plan_deletion(context: ToolContext, given: str) -> Plan:
    """Everything that goes, by name; a persona of the operator's is refused, as the act refuses it."""
    persona = persona_named(context, given)
    plan = await context.services.people.erase_persona(persona.id, dry_run=True)
    changes = [change("Delete the face and the voice for good, with all made of them", _called(persona))]
    for kind, told in _GOES:
        ids: list[str] = getattr(plan, kind)
        changes += [change(told, _named(plan, one)) for one in ids[:_MOST_LINES]]
        if rest := ids[_MOST_LINES:]:
            changes.append(change(f"{told}, and so {len(rest)} more", ", ".join(rest)))
    return Plan(changes=tuple(changes))


async def delete_persona(context: ToolContext, given: str) -> Gone:
    """With the face, the voice and every file made from them."""
    persona = persona_named(context, given)
    plan = await context.services.people.erase_persona(persona.id)
    sentence = f"{persona.name} is deleted{_with(plan)}. Nothing of the face is left."
    return Gone(persona.id, persona.name, sentence)


def plan_reload(context: ToolContext, given: str | None) -> Plan:
    """The files that are read; what comes of it is told afterwards."""
    files = [one.file for one in _entries(context, given)]
    changes = tuple(change("Read the file of a persona again", file) for file in files)
    return Plan(changes=changes, seconds=0)


def reload_personas(context: ToolContext, given: str | None) -> str:
    """How their files stand now: a broken one is told with line and column, and the last good one stays."""
    found = [context.services.persona_library.reload(one.id) for one in _entries(context, given)]
    bad = [f"  {status.file} is {status.state}: {status.error}" for status in found if status.error]
    read = f"{len(found)} file{'' if len(found) == 1 else 's'} read again"
    if not bad:
        return f"{read}; {'it is' if len(found) == 1 else 'all are'} in order."
    return "\n".join([f"{read}; {len(bad)} {'is' if len(bad) == 1 else 'are'} not in order:", *bad])


def _entries(context: ToolContext, given: str | None) -> list[PersonaEntry]:
    """All, or the one that is named; a broken file, in which no name can be read, is called by its id."""
    entries = context.services.persona_library.entries()
    if given is None:
        return entries
    wanted = given.strip().casefold()
    for entry in entries:
        name = entry.persona.name if entry.persona else entry.id
        if wanted in (entry.id.casefold(), name.casefold()):
            return [entry]
    known = ", ".join(entry.id for entry in entries) or "none"
    raise NotFound(
        "persona.not_found", f"There is no persona called {given.strip()!r}.", f"There are: {known}."
    )


def _called(persona: Persona) -> str:
    return f"{persona.name} ({persona.id})"


def _named(plan: ErasePlan, thing: str) -> str:
    name = plan.names.get(thing)
    return f"“{name}” ({thing})" if name else thing


def _with(plan: ErasePlan) -> str:
    videos = len(plan.renders)
    return f", with {videos} video{'' if videos == 1 else 's'}" if videos else ""
