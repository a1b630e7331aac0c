"""Recordings of voice sessions: stores what is said, and makes a video of it with captions.

The video is made as every other one, from a RenderSpec: the presenter says their sentences as they sounded,
and listens to those of the person.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from avatar.spec import MediaRef, RenderSpec

from agent.voice.recording_files import (
    Description,
    Recording,
    create,
    delete,
    describe,
    failing_s,
    folders,
    is_described,
    read,
    write,
)
from agent.voice.recording_scenes import Part, goes_on, parts_of, scene_of_part
from agent.voice.schemas import Recorded
from agent.voice.session import Session, failure_message
from policy import Principal
from policy.audit import AuditEntry, AuditLog
from soundstage.background import Worker
from soundstage.backoff import Backoff
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id, utcnow
from soundstage.database.tenants import tenant_scope
from soundstage.errors import Conflict, SoundstageError, Unavailable
from soundstage.telemetry import get_logger
from studio.personas.library import PersonaLibrary
from studio.references.dropping import drop_unheld
from studio.references.repository import RECORDING, References
from studio.renders.schemas import RenderRequest, RenderView
from studio.renders.service import RenderService
from studio.renders.specs import title_of

MAX_S = 3600.0
"""A recording ends by itself after so long."""
POLL_S = 5.0
LAST_SENTENCE_S = 3.0
"""Longest wait for what the worker still has to send."""
RETRY = Backoff(first_s=60.0, longest_s=3600.0)
KEEP_S = 24 * 3600.0
"""What becomes no video for so long is deleted."""
HOPELESS = ("persona.not_found", "consent.", "voice.nothing_recorded", "spec.")
"""Errors that another attempt would only meet again."""
log = get_logger(__name__)


@dataclass
class Recordings:
    """The recordings below `folder`, each in one of its own until its video is queued. One process uses it.

    `find_principal` returns a principal with the rights of now; None when the key was revoked.
    """

    folder: Path
    library: PersonaLibrary
    renders: RenderService
    blobs: BlobStore
    database: Database
    audit: AuditLog
    find_principal: Callable[[Principal], Awaitable[Principal | None]]
    max_scenes: int
    _active: set[Path] = field(default_factory=set, init=False)
    """Those of open sessions, and those whose video is being queued."""
    _retries: dict[Path, tuple[int, float]] = field(default_factory=dict, init=False)
    """Failed attempts, and when the next one is due."""

    def __post_init__(self) -> None:
        self.worker = Worker("voice recordings", self.finish_ended, poll_s=POLL_S)
        """Queues the videos of recordings whose session has ended."""

    async def start(self, session: Session, *, with_person: bool) -> None:
        """Begins to record; `with_person`: the person's sound, too. Raises Conflict `voice.is_recorded` and
        `voice.cannot_record`.
        """
        if session.origin or session.broadcast is not None:
            raise Conflict(
                "voice.cannot_record",
                "Sessions on other pages and broadcasts cannot be recorded.",
                "Record a session of your own: visitors could not see that they are recorded.",
            )
        if session.recording is not None:
            raise Conflict(
                "voice.is_recorded",
                "This session is being recorded already, or its last recording waits.",
                "Make the video of that recording first, or discard it.",
            )
        description = Description(
            session_id=session.id, principal=session.principal, with_person=with_person, began_at=utcnow()
        )
        recording = session.recording = Recording(self.folder / new_id("rec"), with_person)
        self._active.add(recording.folder)
        try:
            async with recording.lock:
                await asyncio.to_thread(create, recording.folder, description)
                await self._note("voice.recording_began", description)
        except BaseException:
            self._forget(session)
            raise
        await session.show_recording()

    async def add(self, session: Session, recorded: Recorded) -> None:
        """Stores a sentence. The recording ends where that fails, or where it is as long as one may be."""
        recording = session.recording
        if recording is None or not recording.goes_on:
            return
        with_sound = recorded.side == "agent" or recording.with_person
        store = partial(write, recording.folder, recording.entries, recorded, session.persona.id)
        recording.entries += 1
        try:
            async with recording.lock:
                entry = await asyncio.to_thread(partial(store, with_sound=with_sound))
        except (OSError, ValueError) as error:
            log.warning("voice.recording_stopped", session=session.id, error=type(error).__name__)
            failure = Unavailable(
                "voice.recording_stopped",
                "What is said can no longer be recorded.",
                "A video can be made of what was said before.",
            )
            await session.show(failure_message(failure))
            await self._stop(session, recording)
            return
        if not goes_on(recording.part, entry):
            recording.part, recording.parts = [], recording.parts + 1
        recording.part.append(entry)
        if recording.parts >= self.max_scenes or time.time() - recording.began_at >= MAX_S:
            ended = Unavailable(
                "voice.recording_ended", "The recording is as long as one may be.", "Make the video of it."
            )
            await session.show(failure_message(ended))
            await self._stop(session, recording)

    async def finish(self, session: Session) -> RenderView:
        """Ends the recording and queues its video. Raises Conflict `voice.not_recorded` and
        `voice.nothing_recorded`, and what a render raises: then it waits to be finished or discarded.
        """
        recording = self._of(session)
        await self._take_last(session, recording)
        async with recording.lock:
            try:
                render = await self._make_video(recording.folder)
            except SoundstageError as error:
                if not _is_hopeless(error):
                    raise
                await self._discard(recording.folder, error.code)
                self._forget(session)
                raise
        self._forget(session)
        return render

    async def discard(self, session: Session) -> None:
        """Ends the recording and deletes what was recorded. Raises Conflict `voice.not_recorded`."""
        recording = self._of(session)
        recording.goes_on = False
        async with recording.lock:
            await self._discard(recording.folder, "discarded")
        self._forget(session)
        await session.show_recording()

    async def leave(self, session: Session) -> None:
        """Ends the recording of a session that ends; its video is queued soon after."""
        if (recording := session.recording) is None:
            return
        await self._take_last(session, recording)
        async with recording.lock:
            self._forget(session)
        self.worker.wake()

    async def finish_ended(self) -> None:
        """Queues the videos of recordings whose session is over, also of before a restart."""
        for folder in await asyncio.to_thread(folders, self.folder):
            attempts, due = self._retries.get(folder, (0, 0.0))
            if folder in self._active or time.time() < due:
                continue
            self._active.add(folder)
            try:
                await self._finish_ended(folder)
                self._retries.pop(folder, None)
            except Exception as error:
                # One that cannot be read must not hold up those of others.
                self._retries[folder] = (attempts + 1, time.time() + RETRY.delay_s(attempts + 1))
                # Its message may hold what was said.
                code = error.code if isinstance(error, SoundstageError) else type(error).__name__
                log.warning("voice.recording_failed", recording=folder.name, error=code)
            finally:
                self._active.discard(folder)

    async def _finish_ended(self, folder: Path) -> None:
        if not await asyncio.to_thread(is_described, folder):
            await asyncio.to_thread(delete, folder)
            return
        try:
            description = await asyncio.to_thread(describe, folder)
            principal = await self.find_principal(description.principal)
            if principal is None or not principal.may("render:create"):
                await self._discard(folder, "no longer allowed")
                return
            await self._make_video(folder)
        except Exception as error:
            if _is_hopeless(error):
                await self._discard(folder, getattr(error, "code", ""))
                return
            if await asyncio.to_thread(failing_s, folder) > KEEP_S:
                await self._discard(folder, "no video for a day")
            raise

    def _of(self, session: Session) -> Recording:
        if session.recording is None:
            raise Conflict("voice.not_recorded", "This session is not being recorded.", "Begin a recording.")
        return session.recording

    def _forget(self, session: Session) -> None:
        if session.recording is not None:
            self._active.discard(session.recording.folder)
        session.recording = None

    async def _stop(self, session: Session, recording: Recording) -> None:
        recording.goes_on = False
        await session.show_recording()

    async def _take_last(self, session: Session, recording: Recording) -> None:
        """Has the worker send the sentence that sounds now, and takes nothing after it."""
        if recording.goes_on and session.worker is not None:
            await session.instruct({"type": "record", "on": False})
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_SENTENCE_S):
                    await recording.has_all.wait()
        await self._stop(session, recording)

    async def _make_video(self, folder: Path) -> RenderView:
        description = await asyncio.to_thread(describe, folder)
        parts = parts_of(await asyncio.to_thread(read, folder))
        if not parts:
            raise Conflict(
                "voice.nothing_recorded",
                "Nothing was said while this session was recorded.",
                "Record again, and speak or write while it goes on.",
            )
        owner = f"{RECORDING}{folder.name}"
        with tenant_scope(description.principal.tenant):
            try:
                request = RenderRequest(spec=await self._spec_of(folder, parts, owner))
                render = await self.renders.create(request, requested_by=description.principal.name)
                await asyncio.to_thread(delete, folder)
            finally:
                # From here on the render holds the sound.
                await self._release(owner)
        await self._note("voice.recorded", description, render=render.id)
        return render

    async def _spec_of(self, folder: Path, parts: Sequence[Part], owner: str) -> RenderSpec:
        """Stores the sound of all parts, held by `owner`."""
        scenes = []
        for number, part in enumerate(parts, start=1):
            persona = self.library.get(part.persona_id)
            sound = None
            if part.has_sound:
                wav = await asyncio.to_thread(part.wav, folder)
                blob = await self.blobs.put_bytes(wav, "audio/wav")
                async with self.database.transaction() as session:
                    await References(session).hold(owner, "audio", blob.sha256, blob.bytes)
                sound = MediaRef(sha256=blob.sha256, media_type="audio/wav", name=f"part-{number}.wav")
            scenes.append(scene_of_part(number, part, persona, sound))
        spoken = next((part.text for part in parts if part.text), "")
        name = self.library.get(parts[0].persona_id).name
        title = f"{name}: {title_of(spoken)}" if spoken else name
        return RenderSpec(title=title[:200], scenes=tuple(scenes))

    async def _release(self, owner: str) -> None:
        """Deletes sound that no render has taken over."""
        async with self.database.transaction() as session:
            hashes = [sha256 for _, sha256 in await References(session).holds_of_owner(owner)]
            await References(session).release(owner)
        for sha256 in hashes:
            await drop_unheld(self.database, self.blobs, sha256)

    async def _discard(self, folder: Path, why: str) -> None:
        description = None
        with suppress(OSError, ValueError):
            description = await asyncio.to_thread(describe, folder)
        await asyncio.to_thread(delete, folder)
        if description is not None:
            await self._note("voice.recording_discarded", description, why=why)

    async def _note(self, kind: str, description: Description, **data: Any) -> None:
        await self.audit.record_now(
            AuditEntry(
                kind,
                description.principal.name,
                subject=description.session_id,
                session_id=description.session_id,
                tenant=description.principal.tenant,
                data={"with_person": description.with_person, **data},
            )
        )


def _is_hopeless(error: Exception) -> bool:
    return isinstance(error, SoundstageError) and error.code.startswith(HOPELESS)
