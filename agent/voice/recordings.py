"""Recordings of voice sessions: stores what is said, and makes a video of it with captions.

The video is made as every other one, from a RenderSpec: the presenter says their sentences as they sounded,
and listens to those of the person.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from avatar.spec import MediaRef, RenderSpec

from agent.voice.recording_files import (
    Description,
    Recording,
    create,
    delete_older,
    folders,
    read,
    write,
)
from agent.voice.recording_scenes import Part, parts_of, scene_of_part
from agent.voice.schemas import Recorded
from agent.voice.session import Session
from policy.audit import AuditEntry, AuditLog
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id, utcnow
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Conflict, SoundstageError
from soundstage.telemetry import get_logger
from studio.personas.library import PersonaLibrary
from studio.references.repository import RECORDING, References
from studio.renders.schemas import RenderRequest, RenderView
from studio.renders.service import RenderService
from studio.renders.specs import title_of

MAX_S = 3600.0
"""A recording ends by itself after so long."""
MAX_ENTRIES = 450
"""Of 500 scenes that a video may have."""
RETRY_S = 60.0
KEEP_S = 24 * 3600.0
"""Sound of which no video can be made is deleted after so long."""
log = get_logger(__name__)


@dataclass
class Recordings:
    """The recordings below `folder`, each in one of its own until its video is queued."""

    folder: Path
    library: PersonaLibrary
    renders: RenderService
    blobs: BlobStore
    database: Database
    audit: AuditLog
    _finishing: set[Path] = field(default_factory=set, init=False)
    _retry_at: dict[Path, float] = field(default_factory=dict, init=False)

    async def start(self, session: Session, *, with_person: bool) -> None:
        """Begins to record; `with_person`: the person's sound, too. Raises Conflict `voice.is_recorded`."""
        if session.recording is not None:
            raise Conflict(
                "voice.is_recorded",
                "This session is being recorded already.",
                "End that recording first.",
            )
        principal = session.principal
        description = Description(
            session_id=session.id,
            tenant=principal.tenant,
            principal_id=principal.id,
            principal_name=principal.name,
            with_person=with_person,
            began_at=utcnow(),
        )
        recording = session.recording = Recording(self.folder / new_id("rec"), with_person)
        await asyncio.to_thread(create, recording.folder, description)
        await self._note("voice.recording_began", description)
        await session.show_recording()

    async def add(self, session: Session, recorded: Recorded) -> None:
        """Stores a sentence; the recording ends where it is as long as one may be."""
        recording = session.recording
        if recording is None:
            return
        with_sound = recorded.side == "agent" or recording.with_person
        async with recording.lock:
            number, recording.entries = recording.entries, recording.entries + 1
            await asyncio.to_thread(
                partial(write, recording.folder, number, recorded, session.persona.id, with_sound=with_sound)
            )
        is_full = recording.entries >= MAX_ENTRIES or time.time() - recording.began_at >= MAX_S
        if is_full and session.recording is recording:
            session.recording = None
            await session.show_recording()

    async def finish(self, session: Session) -> RenderView:
        """Ends the recording and queues its video. Raises Conflict `voice.not_recorded` and
        `voice.nothing_recorded`, and what a render raises: that is tried again.
        """
        recording = self._end(session)
        self._finishing.add(recording.folder)
        try:
            await session.show_recording()
            async with recording.lock:
                return await self._make_video(recording.folder)
        finally:
            self._finishing.discard(recording.folder)

    async def discard(self, session: Session) -> None:
        """Ends the recording and deletes what was recorded. Raises Conflict `voice.not_recorded`."""
        recording = self._end(session)
        self._finishing.add(recording.folder)
        try:
            async with recording.lock:
                await asyncio.to_thread(shutil.rmtree, recording.folder)
        finally:
            self._finishing.discard(recording.folder)
        await session.show_recording()

    async def finish_ended(self, sessions: Collection[Session]) -> None:
        """Queues the videos of recordings whose session is over, also of before a restart."""
        going_on = {one.recording.folder for one in sessions if one.recording is not None}
        for folder in await asyncio.to_thread(folders, self.folder):
            if folder in going_on | self._finishing or time.time() < self._retry_at.get(folder, 0.0):
                continue
            self._finishing.add(folder)
            try:
                await self._make_video(folder)
            except (SoundstageError, OSError, ValueError) as error:
                await self._keep_or_delete(folder, error)
            finally:
                self._finishing.discard(folder)

    async def _keep_or_delete(self, folder: Path, error: Exception) -> None:
        """Has a recording tried again later, of which no video could be made."""
        self._retry_at[folder] = time.time() + RETRY_S
        is_deleted = await asyncio.to_thread(delete_older, folder, KEEP_S)
        log.warning("voice.recording_failed", recording=folder.name, error=str(error), deleted=is_deleted)

    def _end(self, session: Session) -> Recording:
        recording, session.recording = session.recording, None
        if recording is None:
            raise Conflict("voice.not_recorded", "This session is not being recorded.", "Begin a recording.")
        return recording

    async def _make_video(self, folder: Path) -> RenderView:
        description, entries = await asyncio.to_thread(read, folder)
        parts = parts_of(entries)
        if not parts:
            await asyncio.to_thread(shutil.rmtree, folder)
            raise Conflict(
                "voice.nothing_recorded",
                "Nothing was said while this session was recorded.",
                "Record again, and speak or write while it goes on.",
            )
        with tenant_scope(description.tenant):
            owner = f"{RECORDING}{folder.name}"
            try:
                spec = await self._spec_of(folder, parts, owner)
                request = RenderRequest(spec=spec)
                render = await self.renders.create(request, requested_by=description.principal_name)
            finally:
                # From here on the render holds the sound.
                async with self.database.transaction() as session:
                    await References(session).release(owner)
        await self._note("voice.recorded", description, render=render.id)
        await asyncio.to_thread(shutil.rmtree, folder)
        return render

    async def _spec_of(self, folder: Path, parts: Sequence[Part], owner: str) -> RenderSpec:
        """Stores the sound of all parts, held by `owner`."""
        scenes = []
        for number, part in enumerate(parts, start=1):
            sound = None
            if part.has_sound:
                wav = await asyncio.to_thread(part.wav, folder)
                blob = await self.blobs.put_bytes(wav, "audio/wav")
                async with self.database.transaction() as session:
                    await References(session).hold(owner, "audio", blob.sha256, blob.bytes)
                sound = MediaRef(sha256=blob.sha256, media_type="audio/wav", name=f"part-{number}.wav")
            scenes.append(scene_of_part(number, part, self.library.get(part.persona_id), sound))
        spoken = next((part.text for part in parts if part.text), "")
        name = self.library.get(parts[0].persona_id).name
        title = f"{name}: {title_of(spoken)}" if spoken else name
        return RenderSpec(title=title[:200], scenes=tuple(scenes))

    async def _note(self, kind: str, description: Description, **data: Any) -> None:
        await self.audit.record_now(
            AuditEntry(
                kind,
                description.principal_name,
                subject=description.session_id,
                session_id=description.session_id,
                tenant=description.tenant,
                data={"with_person": description.with_person, **data},
            )
        )
