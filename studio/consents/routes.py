"""REST of consents."""

from __future__ import annotations

from fastapi import APIRouter, status

from studio.consents.schemas import ConsentDraft, ConsentView
from studio.guards import CreateConsents, DeletePersonas, ReadConsents, RevokeConsents
from studio.people.schemas import ErasePlan
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/consents", tags=["consents"])


@router.get("")
async def list_consents(studio: StudioDep, _: ReadConsents) -> list[ConsentView]:
    """Newest first."""
    return await studio.consents.list()


@router.post("", status_code=status.HTTP_201_CREATED)
async def record_consent(draft: ConsentDraft, studio: StudioDep, _: CreateConsents) -> ConsentView:
    """Lists consents: who agreed to be shown or heard, when, and what for."""
    return await studio.consents.record(draft)


@router.get("/{consent_id}")
async def get_consent(consent_id: str, studio: StudioDep, _: ReadConsents) -> ConsentView:
    return await studio.consents.get(consent_id)


@router.post("/{consent_id}/revoke")
async def revoke_consent(consent_id: str, studio: StudioDep, _: RevokeConsents) -> ConsentView:
    """Nothing new is made with this face or voice from now on; what exists stays until it is erased."""
    return await studio.consents.revoke(consent_id)


@router.delete("/{consent_id}")
async def erase_person(
    consent_id: str,
    studio: StudioDep,
    principal: RevokeConsents,
    _: DeletePersonas,
    dry_run: bool = False,
) -> ErasePlan:
    """Erases the person: their personas, face, voice and every file made from them. `dry_run` only
    lists it.
    """
    return await studio.people.erase_consent(consent_id, by=principal.name, dry_run=dry_run)
