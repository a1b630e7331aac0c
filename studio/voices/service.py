"""Verbs on cloned voices; called by the routes and by `soundstage voices`.

The record is written before the sample goes out and is gone, or says what is unclear, before the caller is
answered: a voice of a person at a service is never without its record and the consent behind it.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from avatar.spec import Consent
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.blobs import BlobStore, blob_not_found
from soundstage.database import Database, new_id, utcnow
from soundstage.errors import Conflict, NotFound, SoundstageError, Upstream
from soundstage.telemetry import get_logger
from soundstage.views import read_view
from studio.assets.repository import Assets
from studio.consents.models import ConsentRow
from studio.consents.repository import Consents
from studio.consents.service import ConsentService, as_recorded, end_consent, record
from studio.idempotency.repository import IdempotencyKeys
from studio.idempotency.service import Claim
from studio.references.dropping import confirm_hold, drop_unheld
from studio.references.repository import References
from studio.renders.admission import Admission
from studio.voices.models import ClonedVoice
from studio.voices.repository import Voices
from studio.voices.samples import SampleCheck, SampleFile
from studio.voices.schemas import SpeechServiceView, VoiceLabels, VoiceView
from studio.voices.services import SpeechService, choose_service, services_of
from studio.voices.speech_server import UploadUnclear
from studio.voices.states import VoiceState, move

log = get_logger(__name__)

ERASED = "(erased)"


@dataclass(frozen=True, slots=True)
class VoiceService:
    """`models` names the model of a service by its base URL, where the settings name one."""

    db: Database
    blobs: BlobStore
    admission: Admission
    samples: SampleCheck
    models: dict[str, str] = field(default_factory=dict)

    async def list(self) -> list[VoiceView]:
        async with self.db.session() as session:
            rows = await Voices(session).list()
            consents = await Consents(session).with_ids([row.consent_id for row in rows])
            return [view_of(row, consents.get(row.consent_id)) for row in rows]

    def services(self) -> tuple[SpeechServiceView, ...]:
        """Returns the services that a sample may go to."""
        known = services_of(self.admission, self.models)
        return tuple(SpeechServiceView(address=root) for root in sorted({one.root for one in known}))

    async def get(self, id_or_name: str) -> VoiceView:
        """Returns a voice by its id or name. Raises `voice.not_found`."""
        async with self.db.session() as session:
            row = await voice_of(session, id_or_name)
            return view_of(row, await Consents(session).find(row.consent_id))

    async def sample_of(self, asset_id: str) -> str:
        """Returns the SHA-256 of an uploaded sound. Raises `asset.not_found`."""
        missing = NotFound(
            "asset.not_found",
            f"There is no asset {asset_id!r}.",
            "Upload the sample first, or send it along.",
        )
        async with self.db.session() as session:
            return (await Assets(session).require(asset_id, missing)).sha256

    async def create(
        self,
        labels: VoiceLabels,
        sample_sha256: str,
        *,
        service: SpeechService | None = None,
        claim: Claim | None = None,
    ) -> VoiceView:
        """Clones a voice from a stored sample at a speech service, as a saga: reserve the sample, insert the
        pending record, upload, mark it ready; what fails after the insert is compensated.

        `service` is one that the operator names at the prompt; callers of the API name one that is set up.

        Raises `consent.required` and `consent.revoked` before anything is looked at, `voice.exists`, what
        `SampleCheck.look_into` raises, and what the service says.
        """
        try:
            async with self._reserve_sample(sample_sha256):
                chosen = service or choose_service(self.admission, labels.service, self.models)
                return await self._add(labels, sample_sha256, chosen, claim)
        except SoundstageError:
            # What was brought along was stored to be looked into.
            await self.drop_unheld(sample_sha256)
            raise

    async def _add(
        self, labels: VoiceLabels, sample_sha256: str, chosen: SpeechService, claim: Claim | None
    ) -> VoiceView:
        async with self.db.session() as session:
            await self._require_consent(session, labels)
            if claim is None:
                await self._require_free(session, labels.name)
        chosen.server(self.admission.listeners).key()
        sample = await self.samples.look_into(sample_sha256)
        row_id = new_id("voc")
        async with self.db.transaction() as session:
            if claim is not None:
                # The name may have been taken by another sending of this very request.
                await claim(session, row_id)
            await self._require_consent(session, labels)
            await self._require_free(session, labels.name)
            row = await self._insert_pending(session, row_id, labels, sample, chosen)
        service_voice_id = await self._upload(row, labels, sample, chosen)
        view = await self._mark_ready(row, service_voice_id)
        if view is None:
            await self._delete_unwanted(row, service_voice_id)
            raise Conflict(
                "voice.removed_meanwhile",
                f"The voice {labels.name} was removed while its sample was on the way, or its consent ended.",
                "The speech service has deleted it again. Add it anew if its speaker still agrees.",
            )
        return view

    async def remove(self, id_or_name: str, *, forget: bool = False) -> VoiceView:
        """Deletes the voice at its service, then its sample here, and ends the consent recorded with it.

        While the service keeps the voice, all stays, so that it can be tried again; `forget` is for a service
        that is gone for good.
        """
        async with self.db.session() as session:
            seen = await voice_of(session, id_or_name)
        if not forget:
            await _service_of(seen).server(self.admission.listeners).delete(seen.voice_id)
        async with self.db.transaction() as session:
            row = await voice_of(session, seen.id)
            # Its sample may have been on the way: the service had none when it was seen, and has it since.
            arrived = not forget and row.state != seen.state
            if not arrived:
                await _end(session, row)
            view = view_of(row, await Consents(session).find(row.consent_id))
        if arrived:
            return await self.remove(seen.id)
        if seen.sample_sha256 is not None:
            await self.drop_unheld(seen.sample_sha256)
        return view

    async def withdraw(self, ids: Collection[str]) -> None:
        """Deletes the voices of a person at their services, before the person is erased here."""
        async with self.db.session() as session:
            rows = await Voices(session).of_person(ids, ())
        for row in rows:
            if row.state != VoiceState.REMOVED:
                await _service_of(row).server(self.admission.listeners).delete(row.voice_id)

    @asynccontextmanager
    async def _reserve_sample(self, sha256: str) -> AsyncIterator[None]:
        """Holds the sample while it is checked, so that a failed upload of the same bytes by another request
        does not delete it. Raises `blob.not_found` where one did just before.
        """
        async with self.db.transaction() as session:
            owner = await References(session).promise(sha256)
        try:
            if not await confirm_hold(self.db, self.blobs, sha256):
                raise blob_not_found(sha256)
            yield
        finally:
            async with self.db.transaction() as session:
                await References(session).release(owner)

    async def drop_unheld(self, sha256: str) -> None:
        """Deletes the file of a sample unless something else refers to it, or is about to."""
        await drop_unheld(self.db, self.blobs, sha256)

    @staticmethod
    async def _require_consent(session: AsyncSession, labels: VoiceLabels) -> None:
        if labels.consent is None:
            await ConsentService.valid(session, labels.consent_id, "The voice of a person")

    @staticmethod
    async def _require_free(session: AsyncSession, name: str) -> None:
        if await Voices(session).find(name) is not None:
            raise Conflict(
                "voice.exists",
                f"There is a cloned voice {name} already.",
                "Remove it, or take another name.",
            )

    async def _insert_pending(
        self,
        session: AsyncSession,
        row_id: str,
        labels: VoiceLabels,
        sample: SampleFile,
        service: SpeechService,
    ) -> ClonedVoice:
        """Inserts the record, in the state *sending*, and its consent, before anything is sent."""
        recorded = await record(session, labels.consent) if labels.consent is not None else None
        row = await Voices(session).add(
            ClonedVoice(
                id=row_id,
                name=labels.name,
                state=VoiceState.SENDING,
                kind=service.kind,
                base_url=service.base_url,
                service=service.root,
                api_key_env=service.api_key_env,
                model=service.model,
                # Services have one list for all tenants: a voice must not replace another's.
                voice_id=f"{labels.name.lower()}-{secrets.token_hex(4)}",
                said=labels.said,
                consent_id=recorded.id if recorded is not None else labels.consent_id,
                own_consent=recorded is not None,
                sample_sha256=sample.sha256,
                sample_bytes=sample.bytes,
                duration_ms=sample.duration_ms,
            )
        )
        references = References(session)
        await references.hold(f"voice:{row.id}", "audio", sample.sha256, sample.bytes)
        await references.derive(f"voice:{row.id}", {f"consent:{row.consent_id}", sample.sha256})
        return row

    async def _upload(
        self, row: ClonedVoice, labels: VoiceLabels, sample: SampleFile, service: SpeechService
    ) -> str:
        """Uploads the sample; returns the id of the voice at the service. Compensates when it has none."""
        server = service.server(self.admission.listeners)
        try:
            content = await sample.read(self.blobs)
            return await server.upload(
                row.voice_id, content, labels.said, labels.service_consent or row.consent_id
            )
        except UploadUnclear as unclear:
            try:
                await server.delete(row.voice_id)
            except SoundstageError as error:
                await self._release_key(row)
                raise Upstream(
                    "voice.unclear",
                    f"{unclear.error.message} It may have made the voice {labels.name} all the same.",
                    f"Remove the voice {labels.name} when the service answers again, then add it anew.",
                ) from error
            await self._compensate(row)
            raise unclear.error from unclear
        except SoundstageError:
            await self._compensate(row)
            raise

    async def _mark_ready(self, row: ClonedVoice, service_voice_id: str) -> VoiceView | None:
        """Marks the voice ready. Returns None when it was removed, or its consent ended, meanwhile: that
        request found no voice at the service to delete.
        """
        try:
            async with self.db.transaction() as session:
                found = await Voices(session).find(row.id)
                consent = await Consents(session).find(row.consent_id)
                if found is None:
                    return None
                found.voice_id = service_voice_id
                if consent is None or consent.revoked_at is not None:
                    return None
                found.state = move(VoiceState(found.state), VoiceState.READY)
                return view_of(found, consent)
        except Exception:
            log.exception("voice.not_recorded", id=row.id, service=row.service, voice=service_voice_id)
            raise

    async def _delete_unwanted(self, row: ClonedVoice, service_voice_id: str) -> None:
        """Deletes a voice that was removed during its upload, at the service and here."""
        try:
            await _service_of(row).server(self.admission.listeners).delete(service_voice_id)
        except SoundstageError as error:
            log.error(
                "voice.left_behind",
                id=row.id,
                service=row.service,
                voice=service_voice_id,
                error=error.message,
            )
            await self._release_key(row)
            raise Upstream(
                "voice.left_behind",
                f"The voice {row.name} was removed while its sample was on the way; the speech service has "
                f"it as {service_voice_id} and did not delete it: {error.message}",
                "Delete it there, by that name.",
            ) from error
        await self._compensate(row)

    async def _release_key(self, row: ClonedVoice) -> None:
        """Removes the idempotency key, so that the same request is tried again."""
        async with self.db.transaction() as session:
            await IdempotencyKeys(session).remove_of(row.id)

    async def _compensate(self, row: ClonedVoice) -> None:
        """Removes the record, its references and its own consent: the state before the request."""
        async with self.db.transaction() as session:
            await Voices(session).remove([row.id])
            await References(session).release(f"voice:{row.id}")
            await IdempotencyKeys(session).remove_of(row.id)
            if row.own_consent:
                await end_consent(session, row.consent_id)


async def voice_of(session: AsyncSession, id_or_name: str) -> ClonedVoice:
    missing = NotFound(
        "voice.not_found", f"There is no cloned voice {id_or_name!r}.", "`soundstage voices list` lists them."
    )
    return await Voices(session).require(id_or_name, missing)


async def _end(session: AsyncSession, row: ClonedVoice) -> None:
    """Marks a voice removed, whose service no longer has it."""
    row.state = move(VoiceState(row.state), VoiceState.REMOVED)
    row.removed_at, row.said, row.sample_sha256, row.sample_bytes = utcnow(), "", None, 0
    await References(session).release(f"voice:{row.id}")
    if row.own_consent:
        await end_consent(session, row.consent_id)


def _service_of(row: ClonedVoice) -> SpeechService:
    return SpeechService(row.kind, row.base_url, row.api_key_env, row.model)


def view_of(row: ClonedVoice, recorded: ConsentRow | None) -> VoiceView:
    consent = consent_in(recorded, row.consent_id)
    return read_view(VoiceView, row, consent=consent, voice=_service_of(row).voice(row.voice_id, consent))


def consent_in(row: ConsentRow | None, consent_id: str) -> Consent:
    """Returns a consent as specs have it; an erased one has only its id."""
    if row is None:
        return Consent(id=consent_id, person=ERASED, granted_at="", purpose=ERASED)
    return as_recorded(row)
