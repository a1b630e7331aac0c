"""Tools that list personas, and make one from a photo, change its words, read its file again or delete it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from agent.presentation import Blocks, items, page
from agent.presentation.text import count
from agent.tools.personas.lookup import persona_named
from agent.tools.plan import Plan, change
from agent.tools.record import Act, ToolContext, ToolRequest, ToolResult, tool
from soundstage.database import utcnow
from soundstage.errors import Forbidden, NotFound, SoundstageError
from soundstage.one_line import OneLine
from soundstage.views import read_view
from studio.assets.schemas import AssetKind, AssetLabels
from studio.consents.schemas import ConsentDraft
from studio.people.schemas import ErasePlan
from studio.personas.schemas import Persona, PersonaChange, PersonaDraft, PersonaEntry
from studio.personas.vrm import VrmFace

CHUNK_BYTES = 1 << 20


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
_MAX_LINES = 100
"""Of one kind: what is more is one line, which is bound to all of it."""


async def plan_words(context: ToolContext, given: str, wanted: PersonaChange) -> Plan:
    """Each word that changes, with the old one; a persona of the operator's is refused, as the act does."""
    persona = persona_named(context, given)
    changed = await context.studio.personas.update(persona.id, wanted, dry_run=True)
    changes = []
    for field in wanted.changes():
        old, new = getattr(persona, field), getattr(changed, field)
        if new != old:
            was = f"it is “{old}” now" if old else "it has none now"
            changes.append(change(f"Change the {field} of {_called(persona)} to “{new}”", was))
    return Plan(changes=tuple(changes), seconds=0)


async def plan_deletion(context: ToolContext, given: str) -> Plan:
    """Everything that goes, by name; a persona of the operator's is refused, as the act refuses it."""
    persona = persona_named(context, given)
    plan = await context.studio.people.erase_persona(persona.id, dry_run=True)
    changes = [
        change(
            "Delete the face and the voice for good, with all made of them", _called(persona), deletes=True
        )
    ]
    for kind, told in _GOES:
        ids: list[str] = getattr(plan, kind)
        changes += [change(told, _named(plan, one)) for one in ids[:_MAX_LINES]]
        if rest := ids[_MAX_LINES:]:
            changes.append(change(f"{told}, and so {len(rest)} more", ", ".join(rest)))
    return Plan(changes=tuple(changes))


def plan_reload(context: ToolContext, given: str | None) -> Plan:
    """The files that are read; what comes of it is told afterwards."""
    files = [one.file for one in _entries(context, given)]
    changes = tuple(change("Read the file of a persona again", file) for file in files)
    return Plan(changes=changes, seconds=0)


def reload_personas(context: ToolContext, given: str | None) -> str:
    """How their files stand now: a broken one is told with line and column, and the last good one stays."""
    found = [context.studio.library.reload(one.id) for one in _entries(context, given)]
    bad = [f"  {status.file} is {status.state}: {status.error}" for status in found if status.error]
    read = f"{count(len(found), 'file')} read again"
    if not bad:
        return f"{read}; {'it is' if len(found) == 1 else 'all are'} in order."
    return "\n".join([f"{read}; {len(bad)} {'is' if len(bad) == 1 else 'are'} not in order:", *bad])


def _entries(context: ToolContext, given: str | None) -> list[PersonaEntry]:
    """All, or the one that is named; a broken file, in which no name can be read, is called by its id."""
    entries = context.studio.library.entries()
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
    return f", with {count(len(plan.renders), 'video')}" if plan.renders else ""


class ListPersonas(ToolRequest):
    pass


class PersonaLine(ToolResult):
    id: str
    name: str
    title: str
    real_person: bool
    talk_only: bool = Field(default=False, description="Drawn in conversations, and not in videos.")


class PersonaLines(ToolResult):
    personas: tuple[PersonaLine, ...]

    def presentation(self) -> Blocks:
        if not self.personas:
            return page("There is nobody yet. `soundstage doctor` says why.")
        in_videos, talking = (
            items(
                line.name + (f", {line.title}" if line.title else "")
                for line in self.personas
                if line.talk_only is talks
            )
            for talks in (False, True)
        )
        heading = "In conversations, and not in videos:" if talking.rows else None
        return page("These can speak:", in_videos, heading, talking)


@tool(Act("read", "persona:read"))
async def list_personas(context: ToolContext, request: ListPersonas) -> PersonaLines:
    """List who can speak."""
    return PersonaLines(personas=tuple(_line(persona) for persona in context.studio.library.list()))


class CreatePersona(ToolRequest):
    action: Literal["create", "change", "reload", "delete"] = Field(
        default="create",
        description="create: from a photo; change: its name, title or description; reload: read its file "
        "again; delete: with its face, its voice and every video made of them.",
    )
    persona: str | None = Field(
        default=None,
        min_length=1,
        max_length=80,
        description="With change, reload and delete: its name or id; reload without one reads all files.",
    )
    name: OneLine = Field(
        default="",
        max_length=80,
        description="With create: what the persona is called; with change: its new name.",
    )
    title: OneLine | None = Field(
        default=None, max_length=120, description="With change: the line below its name, as “Presenter”."
    )
    description: str | None = Field(default=None, max_length=4000, description="With change: who it is.")
    photo: str = Field(
        default="", description="With create: a portrait: the id of an upload, its sha256:…, or a path."
    )
    person: str | None = Field(default=None, max_length=200, description="Whose face it is.")
    purpose: str | None = Field(default=None, max_length=2000, description="What the person agreed to.")
    granted_at: date | None = Field(default=None, description="When they agreed; today when left out.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.action == "create" and not (self.name and self.photo):
            raise ValueError("a new persona needs a name and a photo")
        if self.action in ("change", "delete") and self.persona is None:
            raise ValueError("it is not said which persona is meant")
        if self.action == "change" and not self.words().changes():
            raise ValueError("it is not said what changes: its name, title or description")
        return self

    def words(self) -> PersonaChange:
        """With change: what is new."""
        return PersonaChange(name=self.name or None, title=self.title, description=self.description)


class PersonaResult(ToolResult):
    persona_id: str | None
    name: str
    call: str = ""
    """What to say for this persona: its name, or its id where somebody else has the name already."""
    warnings: tuple[str, ...] = ()
    done: str = ""
    """What became of a persona, or of all, that was there before."""

    def presentation(self) -> Blocks:
        if self.done:
            return page(self.done)
        return page(
            f"{self.name} can speak now. Say “Make a video where {self.call} says: Hello”.",
            *(f"Note: {warning}" for warning in self.warnings),
        )


async def _plan(context: ToolContext, request: CreatePersona) -> Plan:
    match request.action:
        case "reload":
            return plan_reload(context, request.persona)
        case "change":
            return await plan_words(context, request.persona or "", request.words())
        case "delete":
            return await plan_deletion(context, request.persona or "")
        case _:
            return await _plan_create(context, request)


async def _plan_create(context: ToolContext, request: CreatePersona) -> Plan:
    """Plans a persona; only the act finds out whether a face can be measured in the photo."""
    consent = _consent(request)
    path = await _path(context, request.photo)
    draft = PersonaDraft(name=request.name, media=request.photo, consent=consent)
    persona_id = await context.studio.personas.plan(draft, stored=path is None)
    agreed = f"{consent.person}, on {consent.granted_at}, for {consent.purpose}"
    changes = [
        change(
            f"Make the persona “{request.name}” with the face of",
            request.photo if path is None else str(path),
        ),
        change("Record the consent of", agreed),
        change("Everybody of this tenant can make videos with it, as", persona_id),
    ]
    return Plan(changes=tuple(changes))


@tool(
    {
        "create": Act("write", "persona:create", files=("photo",)),
        "change": Act("destructive", "persona:update", approvers=0),
        "reload": Act("write", "persona:update"),
        "delete": Act(
            "destructive",
            "persona:delete",
            because="the face, the voice and every video made of them are gone",
        ),
    },
    undo="words are changed back; a file that was read is put back by hand; a persona that was made can be "
    "deleted: its face and all made of it go too, and nothing brings them back",
    plan=_plan,
)
async def create_persona(context: ToolContext, request: CreatePersona) -> PersonaResult:
    """Make a persona from a photo with the consent of the person shown, change its words, or delete it."""
    if request.action == "change":
        persona, words = persona_named(context, request.persona or ""), request.words()
        now = await context.studio.personas.update(persona.id, words)
        fields = [*words.changes()]
        done = f"{' and '.join(fields)} of {now.name} {'is' if len(fields) == 1 else 'are'} changed."
        return PersonaResult(persona_id=now.id, name=now.name, done=f"The {done}")
    if request.action == "reload":
        return PersonaResult(persona_id=None, name="", done=reload_personas(context, request.persona))
    if request.action == "delete":
        gone = persona_named(context, request.persona or "")
        plan = await context.studio.people.erase_persona(gone.id, by=context.principal.name)
        done = f"{gone.name} is deleted{_with(plan)}. Nothing of the face is left."
        return PersonaResult(persona_id=gone.id, name=gone.name, done=done)
    consent = _consent(request)
    async with _media(context, request.photo) as media:
        draft = PersonaDraft(name=request.name, media=media, consent=consent)
        created = await context.studio.personas.create(draft)
    persona = created.persona
    named = [one for one in context.studio.library.list() if one.name.casefold() == persona.name.casefold()]
    call = persona.name if len(named) < 2 else persona.id
    return PersonaResult(
        persona_id=persona.id, name=persona.name, call=call, warnings=tuple(created.warnings)
    )


def _consent(request: CreatePersona) -> ConsentDraft:
    """Raises `consent.required` when it is not said who agreed to what."""
    if request.person is None or request.purpose is None:
        raise Forbidden(
            "consent.required",
            "The face of a real person is used only with that person's recorded consent.",
            "Say who agreed and to what: “… with the consent of Ada Byron for training videos”.",
        )
    return ConsentDraft(
        person=request.person, purpose=request.purpose, granted_at=request.granted_at or utcnow().date()
    )


async def _path(context: ToolContext, photo: str) -> Path | None:
    """The file of this machine that is meant; None for what is stored already."""
    if photo.startswith(("ast_", "sha256:")):
        return None
    if not context.local_files:
        raise Forbidden(
            "persona.path_not_allowed",
            "A path on the server cannot be used from here.",
            "`soundstage personas create` uploads it; elsewhere upload the photo first and name its id.",
        )
    path = await asyncio.to_thread(Path(photo).expanduser)
    if not await asyncio.to_thread(path.is_file):
        raise NotFound("photo.not_found", f"There is no file {photo!r}.", "Check the path.")
    return path


@asynccontextmanager
async def _media(context: ToolContext, photo: str) -> AsyncIterator[str]:
    """The id or hash of a stored picture. Paths are for people at this machine's prompt only.

    A file stored for this persona is given up again when the persona does not come about.
    """
    path = await _path(context, photo)
    if path is None:
        yield photo
        return
    labels = AssetLabels(kind=AssetKind.IMAGE, name=path.name)
    asset = await context.studio.assets.upload(_chunks(path), labels)
    try:
        yield asset.id
    except (SoundstageError, asyncio.CancelledError):
        await context.studio.assets.delete(asset.id)
        raise


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


def _line(persona: Persona) -> PersonaLine:
    return read_view(PersonaLine, persona, talk_only=isinstance(persona.face, VrmFace))
