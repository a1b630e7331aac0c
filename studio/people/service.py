"""Erases a person: persona, consent, face, voice, and every file that was made from them. Called by routes
and the CLI.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit import AuditEntry, AuditLog
from policy.audit.redactable import FORGOTTEN
from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.database.tenants import require_tenant
from soundstage.errors import Conflict, SoundstageError
from soundstage.events import Event, EventStore
from studio.assets.repository import Assets
from studio.consents.repository import Consents
from studio.consents.service import end_consent, get_consent
from studio.people.schemas import ErasePlan
from studio.personas.library import PersonaLibrary
from studio.personas.pictures import PersonaPictures
from studio.personas.shared_files import SharedPersonaFiles
from studio.references.dropping import drop_late_holds
from studio.references.repository import References
from studio.renders.delivery import delete_delivered_files
from studio.renders.journal import stream_of as render_stream
from studio.renders.repository import Renders, Segments
from studio.renders.service import RenderService
from studio.renders.states import TERMINAL
from studio.renditions.service import Renditions
from studio.voices.repository import Voices
from studio.voices.service import VoiceService

STOP_WAIT_S = 30.0
STOP_POLL_S = 0.1
ONLY_KEEP = ("version:", "scene:", "project:", "brand:")
"""Owners that keep files alive, and are not the person's."""


SHOWS_THE_PERSON = frozenset(
    {"face", "portrait", "file", "segment", "audio", "output:video", "output:poster", "output:still"}
)
"""Roles of blobs in which the person is seen or heard; whatever holds such a blob goes too.

Not among them: subtitles, word times and specs. Two people who say the same text share those files.
"""


@dataclass(slots=True)
class Traces:
    """`owners` hold or derive from the person; `sensitive` are blobs that show them; `held` is all that
    owners hold.
    """

    sources: set[str]
    owners: set[str] = field(default_factory=set)
    sensitive: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)

    def of(self, kind: str) -> list[str]:
        """Ids of the owners of one kind ("render", "segment", …)."""
        prefix = f"{kind}:"
        return sorted(owner.removeprefix(prefix) for owner in self.owners if owner.startswith(prefix))


async def trace_person(session: AsyncSession, sources: set[str], owners: set[str]) -> Traces:
    """Follows holds and derivations from `sources` (hashes and consents) and `owners` until nothing new is
    found.

    A version or scene of a project and a brand only keep blobs alive: they let go of these, but what else
    they keep is not the person's.
    """
    references = References(session)
    traces = Traces(sources=set(sources), owners=set(owners))
    traces.sensitive = {source for source in sources if source.startswith("sha256:")}
    looked: set[str] = set()
    while True:
        known = (len(traces.owners), len(traces.sensitive))
        traces.owners |= await references.find_derived(traces.sources | traces.sensitive)
        traces.owners |= await references.holders(traces.sensitive)
        for owner in traces.owners - looked:
            looked.add(owner)
            await _look_into(references, traces, owner)
        if known == (len(traces.owners), len(traces.sensitive)):
            return traces


async def _look_into(references: References, traces: Traces, owner: str) -> None:
    if owner.startswith(ONLY_KEEP):
        return
    for role, sha256 in await references.holds_of_owner(owner):
        if role.startswith("input:"):
            continue
        traces.held.add(sha256)
        if role in SHOWS_THE_PERSON:
            traces.sensitive.add(sha256)


@dataclass(frozen=True, slots=True)
class PeopleService:
    """`cache_dir` is the worker's cache: what it measured of faces lies there, so it is emptied as a
    whole.
    """

    db: Database
    blobs: BlobStore
    library: PersonaLibrary
    renders: RenderService
    voices: VoiceService
    renditions: Renditions
    pictures: PersonaPictures
    out_dir: Path
    cache_dir: Path
    files: SharedPersonaFiles
    events: EventStore
    audit: AuditLog

    async def erase_persona(self, persona_id: str, *, by: str = "studio", dry_run: bool = False) -> ErasePlan:
        """The persona and its face. Its consent goes too, unless another persona of the same person or a
        cloned voice still needs it: that voice is not this persona's, which only speaks with it.
        """
        origin = self.library.origin(persona_id)
        persona = self.library.get(persona_id)
        if origin != "user":
            raise Conflict(
                "persona.shipped",
                f"The persona {persona_id!r} is a file of the operator's.",
                "Remove its file from personas_dir.",
            )
        others = {
            consent
            for other in self.library.list()
            if other.id != persona_id
            for consent in other.consent_ids()
        }
        async with self.db.session() as session:
            others |= {voice.consent_id for voice in await Voices(session).list()}
        consents = persona.consent_ids() - others
        # Not what drives the face: others may be driven by the same, and show nothing of this person.
        shown = [ref for role, ref in persona.media().items() if role in SHOWS_THE_PERSON]
        media = {ref.sha256 for ref in shown if ref.sha256 is not None}
        sources = {*media, *(f"consent:{consent}" for consent in consents)}
        owners = {f"persona:{persona_id}", *(f"consent:{consent}" for consent in consents)}
        return await self._erase(sources, owners, by=by, dry_run=dry_run)

    async def erase_consent(self, consent_id: str, *, by: str = "studio", dry_run: bool = False) -> ErasePlan:
        """Everything of the person who gave this consent."""
        async with self.db.session() as session:
            await get_consent(session, consent_id)
        owner = f"consent:{consent_id}"
        return await self._erase({owner}, {owner}, by=by, dry_run=dry_run)

    async def _erase(self, sources: set[str], owners: set[str], *, by: str, dry_run: bool) -> ErasePlan:
        """Files go before rows, and persona files last: broken off anywhere, it can be done again and then
        completes.
        """
        async with self.db.session() as session:
            plan = await self._plan(session, await trace_person(session, sources, owners))
        if dry_run:
            return plan
        await self._revoke(plan.consents)
        await self._stop(plan.renders)
        await self._stop_small_forms(plan)
        # A file that another user, not in the plan, uploads from now on belongs to them.
        looked_at = utcnow()
        async with self.db.session() as session:
            traces = await trace_person(session, sources, owners)
            plan = await self._plan(session, traces)
        await self.voices.withdraw(plan.voices)
        for sha256 in plan.blobs:
            await self.blobs.delete(sha256, unless_modified_since=looked_at, strictly=True)
        await asyncio.to_thread(delete_delivered_files, plan.out_files, self.out_dir)
        await asyncio.to_thread(_empty, self.cache_dir)
        async with self.db.transaction() as session:
            await self._remove_rows(session, plan, traces)
            await self._redact_titles(session, plan, by)
        for persona_id in plan.personas:
            await asyncio.to_thread(self.library.remove, persona_id)
        await self.files.refresh()
        # Also files that were requested during the deletion.
        await self._stop_small_forms(plan)
        gone = {one for one in _owners(plan) if self.library.origin(one.removeprefix("persona:")) is None}
        await drop_late_holds(self.db, self.blobs, gone)
        return plan.model_copy(update={"applied": True})

    async def _plan(self, session: AsyncSession, traces: Traces) -> ErasePlan:
        references = References(session)
        shared = await references.filter_held_by_others(traces.held, traces.owners)
        # Another tenant who has the same photo has a consent of its own for it.
        others = await references.filter_held_by_other_tenants(traces.sensitive | traces.held)
        voices = await Voices(session).of_person(traces.of("voice"), traces.of("consent"))
        renders = await Renders(session).with_ids(traces.of("render"))
        assets = await Assets(session).with_bytes(traces.sensitive)
        personas = traces.of("persona")
        names = {persona.id: persona.name for persona in self.library.list() if persona.id in personas}
        names |= {row.id: row.name for row in voices}
        names |= {row.id: row.name for row in assets}
        names |= {row.id: row.title for row in renders}
        return ErasePlan(
            names=names,
            personas=personas,
            consents=traces.of("consent"),
            voices=[row.id for row in voices],
            assets=sorted({asset.id for asset in assets}),
            renders=sorted(render.id for render in renders),
            segments=traces.of("segment"),
            versions=traces.of("version"),
            blobs=sorted((traces.sensitive | (traces.held - shared)) - others),
            out_files=sorted(name for render in renders for name in render.out_files),
        )

    async def _revoke(self, consent_ids: list[str]) -> None:
        """First of all, so that nothing new is begun with this face while the rest goes."""
        async with self.db.transaction() as session:
            for consent_id in consent_ids:
                await end_consent(session, consent_id)

    async def _stop(self, render_ids: list[str]) -> None:
        """Cancels what is being made and waits until its workers are gone."""
        deadline = time.monotonic() + STOP_WAIT_S
        while active := await self._active(render_ids):
            for render_id in active:
                try:
                    await self.renders.cancel(render_id)
                except SoundstageError as error:
                    if error.code not in ("render.ended", "render.not_found"):
                        raise
            if time.monotonic() > deadline:
                raise Conflict(
                    "person.in_use",
                    f"{len(active)} renders with this face or voice do not stop.",
                    "Start the server, which drives renders, then delete the person again.",
                )
            await asyncio.sleep(STOP_POLL_S)

    async def _stop_small_forms(self, plan: ErasePlan) -> None:
        """Pictures and small forms of videos and sounds that are being made: none is kept from here on."""
        owners = _owners(plan)
        await self.renditions.cancel(owners)
        await self.pictures.cancel(owners)

    async def _active(self, render_ids: list[str]) -> list[str]:
        async with self.db.session() as session:
            return [
                row.id for row in await Renders(session).with_ids(render_ids) if row.state not in TERMINAL
            ]

    async def _remove_rows(self, session: AsyncSession, plan: ErasePlan, traces: Traces) -> None:
        references = References(session)
        assets = Assets(session)
        for asset in await assets.with_bytes(traces.sensitive):
            await references.release(f"asset:{asset.id}")
            await assets.delete(asset)
        for owner in traces.owners:
            if owner.startswith(ONLY_KEEP):
                await references.drop_holds(owner, traces.sensitive)
            else:
                await references.release(owner)
        await Renders(session).remove(plan.renders)
        await Segments(session).remove(plan.segments)
        await Voices(session).remove(plan.voices)
        await Consents(session).remove(plan.consents)

    async def _redact_titles(self, session: AsyncSession, plan: ErasePlan, by: str) -> None:
        """Redacts titles of the videos, which often name the person, in events and audit lines."""
        streams = [render_stream(render_id) for render_id in plan.renders]
        await self.events.rewrite(session, streams, _without_title, ('"title"',))
        subject = (*plan.consents, *plan.personas)[0]
        data = {
            "personas": len(plan.personas),
            "voices": len(plan.voices),
            "renders": len(plan.renders),
        }
        line = AuditEntry("person.erased", by, subject, tenant=require_tenant(), data=data)
        await self.audit.record(session, line)
        await self.audit.redact(session, None, plan.renders, line)


def _without_title(event: Event) -> dict[str, Any]:
    return {name: FORGOTTEN if name == "title" else value for name, value in event.data.items()}


def _owners(plan: ErasePlan) -> list[str]:
    ids = {"persona": plan.personas, "asset": plan.assets, "render": plan.renders}
    return [f"{kind}:{one}" for kind, each in ids.items() for one in each]


def _empty(folder: Path) -> None:
    for path in folder.glob("*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
