"""Verbs on personas: list, show, change, make one from a file or a design. Deleting is `studio.people`."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from avatar.spec import (
    Consent,
    Finished,
    MediaRef,
    Notice,
    PhotoEngine,
    PhotoFace,
    RigFace,
    VideoEngine,
    VideoFace,
    Voice,
    random_design,
)
from sqlalchemy.ext.asyncio import AsyncSession

from farm.failures import TaskFailed
from farm.scheduler import Scheduler
from farm.tasks import SegmentTask, TaskEvent, TaskInput
from soundstage.blobs import BlobStore, blob_not_found
from soundstage.database import Database, new_id, utcnow
from soundstage.errors import Conflict, Forbidden, Invalid, NotFound
from studio.assets.repository import Assets
from studio.assets.sniffing import GLB, SNIFF_BYTES, Family, FileType, sniff
from studio.consents.service import ConsentService, as_stated, record
from studio.personas.library import PersonaLibrary
from studio.personas.schemas import (
    CreatedPersona,
    Persona,
    PersonaChange,
    PersonaDraft,
    PortraitCheck,
    PortraitRemark,
    PortraitReport,
    VrmCheck,
)
from studio.personas.shared_files import SharedPersonaFiles
from studio.personas.vrm import VrmFace, VrmNotice, VrmReport
from studio.personas.vrm_file import VrmContent, read_vrm_file
from studio.references.dropping import drop_unheld
from studio.references.repository import References
from studio.renders.admission import Admission
from studio.renders.running import run_task
from studio.slugs import slug_of

PREPARE_TIME_LIMIT_S = 300.0
PREPARE_PRIORITY = 100
"""A person waits for the answer; it takes seconds."""

_FACES: frozenset[Family] = frozenset({"image", "video", "model"})
_AVATARS: frozenset[Family] = frozenset({"model"})
_PICTURES: frozenset[Family] = frozenset({"image"})
_MOTIONS: frozenset[Family] = frozenset({"video", "motion"})


@dataclass(frozen=True, slots=True)
class PersonaService:
    db: Database
    blobs: BlobStore
    library: PersonaLibrary
    consents: ConsentService
    admission: Admission
    scheduler: Scheduler
    files: SharedPersonaFiles

    async def create(self, draft: PersonaDraft) -> CreatedPersona:
        """Measures the portrait with the worker (seconds), or checks the avatar, records the consent, and
        writes the persona's file.

        Raises `consent.required` before anything is measured, and the worker's codes (`face.not_found`)
        after; of an avatar what `read_vrm_file` raises, and Forbidden `vrm.licence_unconfirmed`.
        """
        persona_id = await self._admitted_id(draft)
        face, notices = await self._face(draft)
        async with self.db.transaction() as session, self.files.changing(session):
            # Another machine may have made one meanwhile.
            self._require_free(persona_id)
            consent = await self._consent(session, draft)
            voice = await self.consents.stamp_voice(session, _with_consent(draft.voice, consent))
            update: dict[str, object] = {} if isinstance(face, RigFace) else {"consent": consent}
            if isinstance(face, PhotoFace | VideoFace):
                update |= {"engine": draft.engine, "pauses": draft.pauses}
            persona = Persona(
                id=persona_id,
                name=draft.name,
                title=draft.title,
                description=draft.description,
                face=face.model_copy(update=update),
                voice=voice,
                style=draft.style,
                tools=draft.tools,
            )
            await self._hold(session, persona)
            await asyncio.to_thread(self.library.save, persona)
        return CreatedPersona(persona=persona, warnings=[notice.message for notice in notices])

    async def check(self, request: PortraitCheck) -> PortraitReport:
        """Measures a photo as `create` would, and keeps nothing. Raises `consent.required` before, and the
        worker's codes (`face.not_found`) after it.
        """
        media, _ = await self.require_portrait(request)
        result, notices = await self._measure(media, request.face_index)
        for file in result.files:
            await drop_unheld(self.db, self.blobs, file.sha256)
        return PortraitReport(remarks=[PortraitRemark(code=one.code, message=one.message) for one in notices])

    async def check_avatar(self, request: VrmCheck) -> VrmReport:
        """Returns what a VRM file holds, and how it may be used; keeps nothing. Raises what `read_vrm_file`
        does.
        """
        media = await self._media(request.media, _AVATARS)
        return (await self._read_avatar(media)).report

    async def open_avatar(self, persona_id: str) -> tuple[MediaRef, Path]:
        """Returns the file of an avatar. Raises NotFound `persona.no_model` for other faces, and
        `consent.revoked`.
        """
        persona = self.library.get(persona_id)
        face = persona.face
        if not isinstance(face, VrmFace) or face.model.sha256 is None:
            raise NotFound(
                "persona.no_model",
                f"{persona.name} is no VRM avatar.",
                "Its `face` says what it is; its picture is at `imageUrl`.",
            )
        async with self.db.session() as session:
            await self.consents.stamp_face(session, face)
        return face.model, await self.blobs.local_path(face.model.sha256)

    async def require_portrait(self, request: PortraitCheck) -> tuple[MediaRef, Consent]:
        """Returns the photo, and the consent to its use: as on record, or as the request states it. Raises
        `consent.required`, `consent.revoked`, `consent.in_future`, `asset.not_found` and `persona.no_face`.
        """
        _require_consent(request)
        if request.consent is not None:
            consent = as_stated(request.consent)
        else:
            async with self.db.session() as session:
                consent = await self.consents.valid(session, request.consent_id, "The face of a real person")
        return await self._media(request.media, _PICTURES), consent

    async def plan(self, draft: PersonaDraft, *, stored: bool = True) -> str:
        """The id that `create` would give; raises what it would raise before it measures, and keeps nothing.
        Of a photo that is not `stored` yet only the rest is looked at.
        """
        persona_id = await self._admitted_id(draft)
        if draft.design is not None:
            return persona_id
        if stored:
            await self._driving(draft, await self._face_file(draft))
        else:
            _require_consent(draft)
        return persona_id

    async def _face_file(self, draft: PersonaDraft) -> MediaRef:
        """Returns the file of the face, which the draft may use: a real person's with a consent."""
        media = await self._media(draft.media or "", _FACES)
        if not _is_avatar(media):
            _require_consent(draft)
        _require_engine(draft, media)
        return media

    async def _admitted_id(self, draft: PersonaDraft) -> str:
        persona_id = draft.id or await self._free_id(draft.name)
        self._require_free(persona_id)
        self.admission.check_voice(draft.voice)
        return persona_id

    def _require_free(self, persona_id: str) -> None:
        if self.library.origin(persona_id) is not None:
            raise Conflict(
                "persona.exists", f"There is a persona {persona_id!r} already.", "Choose another id."
            )

    async def update(self, persona_id: str, change: PersonaChange, *, dry_run: bool = False) -> Persona:
        """Changes a persona of our own; the next request gets the new one, renders under way keep the
        old. `dry_run` gives what it would be, refuses what it would refuse, and keeps nothing.
        """
        # The transaction also makes two changes at a time wait for each other: each starts from the whole.
        async with self.db.transaction() as session, self.files.changing(session):
            persona = self._own(persona_id)
            changes = change.changes()
            if change.voice is not None:
                changes["voice"] = await self._admitted(session, persona, change.voice)
            changed = persona.model_copy(update=changes)
            if dry_run:
                return changed
            await self._hold(session, changed)
            await asyncio.to_thread(self.library.save, changed)
        return changed

    def _own(self, persona_id: str) -> Persona:
        persona = self.library.get(persona_id)
        if self.library.origin(persona_id) != "user":
            raise Conflict(
                "persona.shipped",
                f"The persona {persona_id!r} is a file of the operator's and is not changed from here.",
                f"Copy it into {self.library.own} under another `id`, and change the copy.",
            )
        return persona

    async def _admitted(self, session: AsyncSession, persona: Persona, voice: Voice) -> Voice:
        """A voice that may be used, with its consent as recorded: the one it names, else that of the face."""
        self.admission.check_voice(voice)
        if getattr(voice, "cloned", False) and getattr(voice, "consent", None) is None:
            voice = voice.model_copy(update={"consent": getattr(persona.face, "consent", None)})
        return await self.consents.stamp_voice(session, voice)

    async def _driving(self, draft: PersonaDraft, media: MediaRef) -> MediaRef | None:
        """Returns what moves the photo. Raises Invalid `persona.not_driven`, `persona.no_motion`."""
        if draft.driving is None:
            return None
        if not (media.media_type or "").startswith("image/"):
            raise Invalid(
                "persona.not_driven",
                "A motion video and an avatar move by themselves.",
                "Leave `driving` out, or use a photo.",
            )
        return await self._media(draft.driving, _MOTIONS)

    async def _media(self, ref: str, families: Collection[Family]) -> MediaRef:
        """The uploaded file, by asset id or hash, of one of these families."""
        sha256, name = ref, None
        if not ref.startswith("sha256:"):
            missing = NotFound(
                "asset.not_found", f"There is no asset {ref!r}.", "Upload the photo or video first."
            )
            async with self.db.session() as session:
                asset = await Assets(session).require(ref, missing)
            sha256, name = asset.sha256, asset.name or None
        else:
            async with self.db.session() as session:
                if sha256 not in await References(session).usable({sha256}):
                    raise blob_not_found(sha256)
        path = await self.blobs.local_path(sha256)
        with path.open("rb") as file:
            found = sniff(file.read(SNIFF_BYTES))
        if found.family not in families:
            raise _other_family(found, families)
        return MediaRef(sha256=sha256, media_type=found.media_type, name=name)

    async def _face(
        self, draft: PersonaDraft
    ) -> tuple[RigFace | PhotoFace | VideoFace | VrmFace, Sequence[Notice | VrmNotice]]:
        if draft.design is not None:
            chosen = draft.design.model_dump(include=draft.design.model_fields_set - {"seed"})
            return RigFace(design=random_design(draft.design.seed, **chosen)), []
        media = await self._face_file(draft)
        driving = await self._driving(draft, media)
        if _is_avatar(media):
            return await self._avatar(draft, media)
        if (media.media_type or "").startswith("video/"):
            return VideoFace(video=media, face_index=draft.face_index), []
        result, notices = await self._measure(media, draft.face_index)
        measured = next(file for file in result.files if file.role == "portrait")
        portrait = MediaRef(sha256=measured.sha256, media_type=measured.media_type)
        face = PhotoFace(image=media, portrait=portrait, face_index=draft.face_index, driving=driving)
        return face, notices

    async def _avatar(self, draft: PersonaDraft, media: MediaRef) -> tuple[VrmFace, Sequence[VrmNotice]]:
        found = await self._read_avatar(media)
        licence = found.report.licence
        if licence.is_restricted and not draft.licence_confirmed:
            raise Forbidden(
                "vrm.licence_unconfirmed",
                "The licence of the avatar does not let everybody use it.",
                "Confirm that you are its author, or have a licence: `licence_confirmed`, or "
                "`--licence-confirmed` of the command.",
            )
        picture = None
        if draft.picture is not None:
            picture = await self._media(draft.picture, _PICTURES)
        elif found.thumbnail is not None:
            media_type, content = found.thumbnail
            blob = await self.blobs.put_bytes(content, media_type)
            picture = MediaRef(sha256=blob.sha256, media_type=media_type)
        face = VrmFace(
            model=media,
            picture=picture,
            version=found.report.version,
            licence=licence,
            confirmed_at=utcnow() if licence.is_restricted else None,
        )
        return face, found.report.warnings

    async def _read_avatar(self, media: MediaRef) -> VrmContent:
        if media.sha256 is None:
            raise Invalid("media.path_refused", "A photo or avatar is named by its hash.", "Upload it first.")
        path = await self.blobs.local_path(media.sha256)
        return await asyncio.to_thread(read_vrm_file, path, self.admission.limits.vrm_mib << 20)

    async def _measure(self, media: MediaRef, face_index: int | None) -> tuple[Finished, Sequence[Notice]]:
        if media.sha256 is None:
            raise Invalid("media.path_refused", "A photo or avatar is named by its hash.", "Upload it first.")
        sentences = []

        def on_event(event: TaskEvent) -> None:
            if isinstance(event.line, Notice):
                sentences.append(event.line)

        task = SegmentTask(
            id=new_id("prepare"),
            kind="prepare",
            inputs=(TaskInput(media.sha256, "picture"),),
            arguments=() if face_index is None else ("--face-index", str(face_index)),
            priority=PREPARE_PRIORITY,
            time_limit_s=PREPARE_TIME_LIMIT_S,
        )
        try:
            result = await run_task(self.scheduler, task, on_event)
        except TaskFailed as error:
            raise error.as_error(422) from error
        return result, [*(notice for notice in sentences if notice not in result.warnings), *result.warnings]

    async def _consent(self, session: AsyncSession, draft: PersonaDraft) -> Consent | None:
        """Returns the consent on record; None for an avatar that shows nobody."""
        consent_id = draft.consent_id
        if draft.consent is not None:
            consent_id = (await record(session, draft.consent)).id
        if consent_id is None:
            return None
        return await self.consents.valid(session, consent_id, "The face of a real person")

    async def _hold(self, session: AsyncSession, persona: Persona) -> None:
        references = References(session)
        owner = f"persona:{persona.id}"
        for role, ref in persona.media().items():
            if ref.sha256 is not None:
                found = await self.blobs.stat(ref.sha256)
                await references.hold(owner, role, ref.sha256, found.bytes if found else 0)
        sources = {f"consent:{consent}" for consent in persona.consent_ids()}
        await references.derive(owner, sources)

    async def _free_id(self, name: str) -> str:
        first_choice = persona_id = slug_of(name, "persona")
        known = {entry.id for entry in self.library.entries()}
        number = 1
        while persona_id in known:
            number += 1
            persona_id = f"{first_choice}-{number}"
        return persona_id


def _require_consent(draft: PersonaDraft | PortraitCheck) -> None:
    if draft.consent is None and draft.consent_id is None:
        raise Forbidden(
            "consent.required",
            "A persona with a real person's face needs that person's recorded consent.",
            "Add `consent` (person, purpose, granted_at), or `consent_id`.",
        )


def _other_family(found: FileType, families: Collection[Family]) -> Invalid:
    if families == _MOTIONS:
        return Invalid(
            "persona.no_motion",
            f"Nothing moves in a file of the type {found.media_type}.",
            "Upload a video of a person, or a motion template.",
        )
    if families == _AVATARS:
        return Invalid(
            "vrm.not_glb", f"A file of the type {found.media_type} is no avatar.", "Upload a VRM file (.vrm)."
        )
    if found.family in ("video", "model"):
        return Invalid(
            "persona.not_measured", "Only photos are measured before.", "Create the persona from it."
        )
    what = "sound" if found.family == "audio" else "motion template"
    return Invalid(
        "persona.no_face", f"A {what} has no face.", "Upload a photo, a motion video or an avatar."
    )


def _require_engine(draft: PersonaDraft, media: MediaRef) -> None:
    """Raises Invalid `persona.other_engine` for one that draws faces of the other kind."""
    video = (media.media_type or "").startswith("video/")
    known = ("auto",) if _is_avatar(media) else get_args(VideoEngine if video else PhotoEngine)
    if draft.engine not in known:
        kind = "avatar" if _is_avatar(media) else "video" if video else "photo"
        raise Invalid(
            "persona.other_engine",
            f"The engine {draft.engine} does not draw the face of a {kind}.",
            f"Take one of: {', '.join(known)}.",
        )


def _is_avatar(media: MediaRef) -> bool:
    return media.media_type == GLB.media_type


def _with_consent(voice: Voice, consent: Consent | None) -> Voice:
    """A cloned voice is covered by the same person's consent."""
    return voice.model_copy(update={"consent": consent}) if getattr(voice, "cloned", False) else voice
