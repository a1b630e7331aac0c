"""A small picture of a persona's face, at its `imageUrl`: of its photo, or drawn by the worker."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from avatar.spec import Canvas, Captions, Output, PhotoFace, RenderSpec, Scene, content_hash

from farm.failures import TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.errors import NotFound, SoundstageError, Unavailable, Upstream
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import Persona
from studio.references.repository import References
from studio.renders.admission import Admission
from studio.renders.running import run_task
from studio.thumbnails.service import Thumbnails, ThumbnailWidth

SCENE = "picture"
SIDE_PX = 720
PRIORITY = 100
"""A person waits for the page; it takes seconds."""
TIME_LIMIT_S = 60.0
ROLE = "picture:"


def image_url(persona: Persona) -> str:
    """Where its picture is. The version changes with the face, so that browsers may keep what they have."""
    return f"/api/personas/{persona.id}/image?v={version_of(persona)}"


def version_of(persona: Persona) -> str:
    """Twelve digits of the hash of all that the picture shows."""
    shown = [persona.face.model_dump(mode="json"), persona.style.background.model_dump(mode="json")]
    return content_hash(shown).removeprefix("sha256:")[:12]


@dataclass(frozen=True, slots=True)
class PersonaPictures:
    """`program` is the worker that must be on this machine; None where the farm runs it elsewhere."""

    db: Database
    blobs: BlobStore
    library: PersonaLibrary
    admission: Admission
    thumbnails: Thumbnails
    scheduler: Scheduler
    program: str | None = None
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def open(self, persona_id: str, width: ThumbnailWidth) -> tuple[str, Path]:
        """Return hash and path of a WebP. Raises `persona.not_found`, what forbids to show the face
        (`consent.revoked`), Unavailable `persona.no_worker` and Upstream
        `persona.no_picture`.
        """
        persona = self.library.get(persona_id)
        async with self.db.session() as session:
            await self.admission.consents.stamped_face(session, persona.face)
        owner = f"persona:{persona.id}"
        if isinstance(persona.face, PhotoFace) and persona.face.image.sha256 is not None:
            return await self.thumbnails.open(owner, persona.face.image.sha256, width)
        role = f"{ROLE}{version_of(persona)}"
        lock = self._locks.setdefault(f"{self.library.own}:{owner}", asyncio.Lock())
        async with lock:
            drawn = await self._stored(owner, role) or await self._draw(persona, owner, role)
        return await self.thumbnails.open(owner, drawn, width)

    async def _stored(self, owner: str, role: str) -> str | None:
        async with self.db.session() as session:
            sha256 = dict(await References(session).held_by(owner)).get(role)
        return sha256 if sha256 is not None and await self.blobs.exists(sha256) else None

    async def _draw(self, persona: Persona, owner: str, role: str) -> str:
        """Have the worker draw it, and keep it in the place of those of earlier faces."""
        if self.program is not None and shutil.which(self.program) is None:
            raise Unavailable(
                "persona.no_worker",
                f"No picture can be drawn: the worker program {self.program} is not on this machine.",
                "Install it with `make setup`, or name it in worker.command.",
            )
        async with self.db.session() as session:
            spec = await self.admission.admit(session, _spec_of(persona))
        spec_blob = await self.blobs.put_bytes(spec.model_dump_json().encode(), "application/json")
        task = SegmentTask(
            id=new_id("picture"),
            kind="still",
            spec_sha256=spec_blob.sha256,
            scene_id=SCENE,
            priority=PRIORITY,
            time_limit_s=TIME_LIMIT_S,
        )
        try:
            result = await run_task(self.scheduler, task, lambda _: None)
        except TaskFailed as error:
            failure = error.failure
            raise SoundstageError(failure.code, failure.message, failure.hint, status=502) from error
        made = next((file for file in result.files if file.role == "still"), None)
        if made is None:
            raise Upstream(
                "persona.no_picture", "The worker drew no picture.", "Use the worker of this release."
            )
        async with self.db.transaction() as session:
            if self.library.origin(persona.id) is None:
                # Deleted meanwhile: what is drawn now would outlive the person.
                raise NotFound("persona.not_found", f"There is no persona {persona.id!r}.", "It was deleted.")
            references = References(session)
            held = await references.held_by(owner)
            old = {sha256[7:19] for name, sha256 in held if name.startswith(ROLE)}
            stale = {sha for name, sha in held if name.startswith(ROLE) or name.rpartition(":")[2] in old}
            await references.drop_holds(owner, stale)
            await references.hold(owner, role, made.sha256, made.bytes)
        return made.sha256


def _spec_of(persona: Persona) -> RenderSpec:
    """One moment before the persona speaks, with its mouth shut; no voice of its own is asked."""
    scene = Scene(
        id=SCENE,
        script="Hello.",
        face=persona.face,
        background=persona.style.background,
    )
    canvas = Canvas(width=SIDE_PX, height=SIDE_PX)
    output = Output(captions=Captions(mode="none"))
    return RenderSpec(title=persona.name, canvas=canvas, scenes=(scene,), output=output)
