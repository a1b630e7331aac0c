"""All SQL on cloned voices."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select

from soundstage.database.repository import Repository
from soundstage.database.tenants import bypass_tenant_filter, require_tenant
from studio.voices.models import ClonedVoice
from studio.voices.states import VoiceState


class Voices(Repository[ClonedVoice]):
    async def find(self, ref: str) -> ClonedVoice | None:
        """By id or by name; removed ones are not found."""
        found = await self._session.scalars(
            select(ClonedVoice).where(
                (ClonedVoice.id == ref) | (ClonedVoice.name == ref),
                ClonedVoice.state != VoiceState.REMOVED,
            )
        )
        return found.first()

    async def list(self) -> Sequence[ClonedVoice]:
        """Newest first, without those that were removed."""
        query = select(ClonedVoice).where(ClonedVoice.state != VoiceState.REMOVED)
        return await self._all(query.order_by(ClonedVoice.created_at.desc()))

    async def at_service(self, service: str, voice_id: str) -> Sequence[ClonedVoice]:
        """Returns voices of this name at a service, active ones first. Servers compare names without case."""
        query = select(ClonedVoice).where(
            ClonedVoice.service == service, func.lower(ClonedVoice.voice_id) == voice_id.lower()
        )
        found = (await self._session.scalars(query.order_by(ClonedVoice.created_at.desc()))).all()
        return sorted(found, key=lambda row: row.state == VoiceState.REMOVED)

    async def of_other_tenants(self, service: str) -> set[str]:
        """Names at this service that are not for the present tenant to know, in lower case. One that was
        removed here may be there still.
        """
        tenant = require_tenant()
        with bypass_tenant_filter():
            return await self._set(
                select(func.lower(ClonedVoice.voice_id)).where(
                    ClonedVoice.service == service, ClonedVoice.tenant != tenant
                )
            )

    async def of_person(self, ids: Collection[str], consents: Collection[str]) -> Sequence[ClonedVoice]:
        """Returns voices with these ids or these consents, removed ones too."""
        query = select(ClonedVoice).where(ClonedVoice.id.in_(ids) | ClonedVoice.consent_id.in_(consents))
        return await self._all(query.order_by(ClonedVoice.id))

    async def remove(self, ids: Collection[str]) -> None:
        await self._session.execute(delete(ClonedVoice).where(ClonedVoice.id.in_(ids)))
