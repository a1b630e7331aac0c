"""Verbs on consents, and the check that every real face and cloned voice passes before it is used."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from avatar.spec import Consent, Face, MediaRef, RigFace, VideoFace, Voice
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database, new_id, utcnow
from soundstage.errors import Forbidden, Invalid, NotFound
from soundstage.views import read_view
from studio.assets.repository import Assets
from studio.consents.models import ConsentRow
from studio.consents.repository import Consents
from studio.consents.schemas import ConsentDraft, ConsentView, start_of_day_utc
from studio.personas.vrm import VrmFace
from studio.references.repository import References
from studio.voices.clone_access import usable_clone

AnyFace = TypeVar("AnyFace", Face, VideoFace, Face | VrmFace)


class ConsentService:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def list(self) -> list[ConsentView]:
        async with self._db.session() as session:
            return [view_of(row) for row in await Consents(session).list()]

    async def get(self, consent_id: str) -> ConsentView:
        async with self._db.session() as session:
            return view_of(await get_consent(session, consent_id))

    async def record(self, draft: ConsentDraft) -> ConsentView:
        async with self._db.transaction() as session:
            return view_of(await record(session, draft))

    async def revoke(self, consent_id: str) -> ConsentView:
        """From now on nothing new is made with it; what exists goes with `studio.people`."""
        async with self._db.transaction() as session:
            row = await get_consent(session, consent_id)
            end(row)
            return view_of(row)

    async def check(self, consent_id: str, what: str) -> None:
        """Raises Forbidden `consent.required` or `consent.revoked` before anything is done with it."""
        async with self._db.session() as session:
            await self.valid(session, consent_id, what)

    async def stamp_face(self, session: AsyncSession, face: AnyFace) -> AnyFace:
        """The face with its consent as it is on record; raises `consent.required` or `consent.revoked`."""
        if isinstance(face, RigFace) or (isinstance(face, VrmFace) and face.consent is None):
            return face
        consent = await self.valid(
            session, face.consent.id if face.consent else None, "The face of a real person"
        )
        return face.model_copy(update={"consent": consent})

    async def stamp_voice(self, session: AsyncSession, voice: Voice) -> Voice:
        """The same for a voice; only cloned ones need it. One of ours is cloned whatever the caller says, and
        has the consent it was made with. Raises also `voice.removed`.
        """
        known = await usable_clone(session, voice)
        if known is not None:
            consent = await self.valid(session, known.consent_id, "The cloned voice of a person")
            return voice.model_copy(update={"cloned": True, "consent": consent})
        if not getattr(voice, "cloned", False):
            return voice
        named: Consent | None = getattr(voice, "consent", None)
        consent = await self.valid(session, named.id if named else None, "The cloned voice of a person")
        return voice.model_copy(update={"consent": consent})

    @staticmethod
    async def valid(session: AsyncSession, consent_id: str | None, what: str) -> Consent:
        """The consent as it goes into specs; `what` names in errors what it is needed for.

        The errors name neither the person nor the consent: they reach people who may not read consents.
        """
        if consent_id is None:
            raise Forbidden(
                "consent.required",
                f"{what} is used only with that person's recorded consent.",
                "Say who agreed and what for (`--person` and `--purpose` of the command), or name a "
                "`consent` on record.",
            )
        missing = Forbidden(
            "consent.required",
            f"{what} names a consent that is not on record.",
            "Say who agreed and what for (`--person` and `--purpose` of the command): that records one.",
        )
        row = await Consents(session).require(consent_id, missing)
        if row.revoked_at is not None:
            raise Forbidden(
                "consent.revoked",
                f"{what} may not be used any more: its consent was taken back on {row.revoked_at:%Y-%m-%d}.",
                "Use another face or voice.",
            )
        # What the record says goes into the spec, not what the caller wrote: the sidecar must tell the truth.
        return as_recorded(row)


async def check_consents(session: AsyncSession, ids: set[str]) -> None:
    """Again when the work begins: a consent may have been taken back while the render waited."""
    for consent_id in sorted(ids):
        await ConsentService.valid(session, consent_id, "The face or voice of a real person")


async def get_consent(session: AsyncSession, consent_id: str) -> ConsentRow:
    missing = NotFound(
        "consent.not_found",
        f"There is no consent {consent_id!r}.",
        "Check the id: the answer that recorded it named it.",
    )
    return await Consents(session).require(consent_id, missing)


async def record(session: AsyncSession, draft: ConsentDraft, *, consent_id: str | None = None) -> ConsentRow:
    """Writes a consent down within the caller's transaction, under a new id unless one is given."""
    row = ConsentRow(
        id=consent_id or new_id("cns"),
        person=draft.person,
        purpose=draft.purpose,
        granted_at=_granted_at(draft),
    )
    await Consents(session).add(row)
    if draft.evidence is not None:
        missing = NotFound(
            "asset.not_found", f"There is no asset {draft.evidence!r}.", "Upload the evidence first."
        )
        asset = await Assets(session).require(draft.evidence, missing)
        row.evidence_sha256 = asset.sha256
        await References(session).hold(f"consent:{row.id}", "evidence", asset.sha256, asset.bytes)
    return row


def _granted_at(draft: ConsentDraft) -> datetime:
    granted_at = start_of_day_utc(draft.granted_at)
    if granted_at > utcnow():
        raise Invalid(
            "consent.in_future", "A consent cannot have been given in the future.", "Check `granted_at`."
        )
    return granted_at


def end(row: ConsentRow) -> None:
    """From now on; one that has ended before ended then."""
    row.revoked_at = row.revoked_at or utcnow()


async def end_consent(session: AsyncSession, consent_id: str) -> None:
    """Returns where the consent is still on record."""
    row = await Consents(session).find(consent_id)
    if row is not None:
        end(row)


def as_recorded(row: ConsentRow) -> Consent:
    """The record as specs have it."""
    evidence = MediaRef(sha256=row.evidence_sha256) if row.evidence_sha256 else None
    return Consent(
        id=row.id,
        person=row.person,
        granted_at=row.granted_at.isoformat(),
        purpose=row.purpose,
        evidence=evidence,
    )


def as_stated(draft: ConsentDraft) -> Consent:
    """Returns a consent that is not on record, for what is shown once and stored nowhere. Raises Invalid
    `consent.in_future`.
    """
    granted_at = _granted_at(draft).isoformat()
    return Consent(id="unrecorded", person=draft.person, granted_at=granted_at, purpose=draft.purpose)


def view_of(row: ConsentRow) -> ConsentView:
    return read_view(ConsentView, row)
