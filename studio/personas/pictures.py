"""A small picture of a persona's face, at its `imageUrl`: of its photo, or drawn by the worker."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Set
from dataclasses import dataclass, field
from pathlib import Path

from avatar.spec import Canvas, Captions, Failed, Finished, Output, PhotoFace, RenderSpec, Scene, content_hash

from farm.failures import CANCELLED, TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask
from soundstage.blobs import BlobStore
from soundstage.database import Database, new_id
from soundstage.errors import NotFound, SoundstageError, Unavailable, Upstream
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import Persona
from studio.personas.vrm import VrmFace, require_rendered
from studio.references.repository import References
from studio.renders.admission import Admission
from studio.renditions.keeping import run_spec_and_keep
from studio.renditions.single_flight import Bounds, Refusals, SingleFlight
from studio.thumbnails.service import Thumbnails, ThumbnailWidth

SCENE = "picture"
SIDE_PX = 720
PRIORITY = 100
"""A person waits for the page; it takes seconds."""
TIME_LIMIT_S = 60.0
WAIT_S = 20.0
"""As long as a request waits for a picture that is being drawn."""
BOUNDS = Bounds(running=2, pending=64, running_of_tenant=2, pending_of_tenant=16)
ROLE = "picture:"


def image_url(persona: Persona) -> str:
    """Returns where its picture is. The version changes with the face, so that browsers may keep what they
    have.
    """
    return f"/api/personas/{persona.id}/image?v={version_of(persona)}"


def version_of(persona: Persona) -> str:
    """Twelve digits of the hash of all that the picture shows."""
    shown = [persona.face.model_dump(mode="json"), persona.style.background.model_dump(mode="json")]
    return content_hash(shown).removeprefix("sha256:")[:12]


@dataclass(frozen=True, slots=True)
class PersonaPictures:
    """`program` is the worker that must be on this machine; None where the farm runs it elsewhere. `close`
    with the process.
    """

    db: Database
    blobs: BlobStore
    library: PersonaLibrary
    admission: Admission
    thumbnails: Thumbnails
    scheduler: Scheduler
    program: str | None = None
    _single_flight: SingleFlight = field(default_factory=lambda: SingleFlight("picture", BOUNDS))

    async def open(self, persona_id: str, width: ThumbnailWidth) -> tuple[str, Path]:
        """Return hash and path of a WebP. Raises `persona.not_found`, what forbids to show the face
        (`consent.revoked`), NotFound `persona.no_still`, Unavailable `persona.no_worker`,
        `persona.picture_not_ready` and `persona.pictures_busy`, and Upstream `persona.no_picture`.
        """
        persona = self.library.get(persona_id)
        async with self.db.session() as session:
            await self.admission.consents.stamp_face(session, persona.face)
        owner = f"persona:{persona.id}"
        if isinstance(persona.face, PhotoFace) and persona.face.image.sha256 is not None:
            return await self.thumbnails.open(owner, persona.face.image.sha256, width)
        if isinstance(persona.face, VrmFace):
            if persona.face.picture is None or persona.face.picture.sha256 is None:
                raise NotFound(
                    "persona.no_still",
                    f"There is no picture of {persona.name}: the file of the avatar has none.",
                    "Create it on the page, which takes one, or name a `picture`.",
                )
            return await self.thumbnails.open(owner, persona.face.picture.sha256, width)
        role = f"{ROLE}{version_of(persona)}"
        drawn = await self._stored(owner, role) or await self._drawn(persona, owner, role)
        return await self.thumbnails.open(owner, drawn, width)

    async def cancel(self, owners: Collection[str]) -> None:
        """Draw nothing more for them ("persona:…"); what was being drawn has ended when this returns."""
        await self._single_flight.cancel(owners)

    async def close(self) -> None:
        await self._single_flight.close()

    async def _stored(self, owner: str, role: str) -> str | None:
        async with self.db.session() as session:
            sha256 = dict(await References(session).holds_of_owner(owner)).get(role)
        return sha256 if sha256 is not None and await self.blobs.exists(sha256) else None

    async def _drawn(self, persona: Persona, owner: str, role: str) -> str:
        """Waits for the worker's picture, which may be drawn already for another request."""
        if self.program is not None and shutil.which(self.program) is None:
            raise Unavailable(
                "persona.no_worker",
                f"No picture can be drawn: the worker program {self.program} is not on this machine.",
                "Install it with `make setup`, or name it in worker.command.",
            )
        key = f"{owner}/{role}"
        if (failure := self._single_flight.recent_failure(key)) is not None:
            raise _as_error(failure)

        async def make(_: Set[str]) -> None:
            await self._draw(persona, owner, role, key)

        await self._single_flight.wait(key, owner, make, WAIT_S, _REFUSALS)
        if (drawn := await self._stored(owner, role)) is None:
            self.library.get(persona.id)
            raise _as_error(CANCELLED)
        return drawn

    async def _draw(self, persona: Persona, owner: str, role: str, key: str) -> None:
        """Have the worker draw it, and keep it."""
        async with self.db.session() as session:
            spec = await self.admission.admit(session, _spec_of(persona))
        task = SegmentTask(
            id=new_id("picture"),
            kind="still",
            scene_id=SCENE,
            priority=PRIORITY,
            time_limit_s=TIME_LIMIT_S,
        )

        async def hold(still: Finished) -> None:
            await self._hold(persona, owner, role, still)

        try:
            await run_spec_and_keep(self.db, self.blobs, self.scheduler, spec, task, hold)
        except TaskFailed as error:
            self._single_flight.remember(key, error.failure)
            raise _as_error(error.failure) from error

    async def _hold(self, persona: Persona, owner: str, role: str, result: Finished) -> None:
        """Hold the picture in the place of those of earlier faces."""
        still = next((file for file in result.files if file.role == "still"), None)
        if still is None:
            raise Upstream(
                "persona.no_picture", "The worker drew no picture.", "Use the worker of this release."
            )
        async with self.db.transaction() as session:
            if self.library.origin(persona.id) is None:
                # Deleted meanwhile: what is drawn now would outlive the person.
                return
            references = References(session)
            held = await references.holds_of_owner(owner)
            old = {sha256[7:19] for name, sha256 in held if name.startswith(ROLE)}
            await references.drop_holds(owner, {sha for name, sha in held if _is_of(name, old)})
            await references.hold(owner, role, still.sha256, still.bytes)


_REFUSALS = Refusals(
    busy=lambda pending: Unavailable(
        "persona.pictures_busy",
        f"{pending} pictures of personas are being drawn or wait already.",
        "Ask again in a minute.",
        headers={"Retry-After": "60"},
    ),
    not_ready=lambda: Unavailable(
        "persona.picture_not_ready",
        "The picture is being drawn.",
        "Ask again in a few seconds.",
        headers={"Retry-After": "5"},
    ),
)


def _is_of(role: str, pictures: set[str]) -> bool:
    """Returns whether it is the role of a picture, or of a thumbnail of one."""
    return role.startswith(ROLE) or role.rpartition(":")[2] in pictures


def _as_error(failure: Failed) -> SoundstageError:
    if failure.code == CANCELLED.code:
        return Unavailable("persona.picture_stopped", "The worker was stopped.", "Ask again.")
    return SoundstageError(failure.code, failure.message, failure.hint, status=502)


def _spec_of(persona: Persona) -> RenderSpec:
    """One moment before the persona speaks, with its mouth shut; no voice of its own is asked."""
    scene = Scene(
        id=SCENE,
        script="Hello.",
        face=require_rendered(persona.face, persona.name),
        background=persona.style.background,
    )
    canvas = Canvas(width=SIDE_PX, height=SIDE_PX)
    output = Output(captions=Captions(mode="none"))
    return RenderSpec(title=persona.name, canvas=canvas, scenes=(scene,), output=output)
