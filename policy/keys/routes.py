"""REST for API keys."""

# No `from __future__ import annotations`: FastAPI reads the permissions out of the annotations below.
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from policy.guard import require_permission
from policy.keys.schemas import CreatedKey, KeyRequest, KeyView
from policy.keys.service import KeyService
from policy.principal import Principal
from soundstage.database import Database

KeyReader = Annotated[Principal, Depends(require_permission("key:read"))]


def keys_router(db: Database, keys: KeyService) -> APIRouter:
    """Routes below `/api/keys`."""
    router = APIRouter(prefix="/api/keys", tags=["keys"])

    @router.get("")
    async def list_keys(principal: KeyReader) -> list[KeyView]:
        """The keys of one's tenant, or of all for the operator; without the keys themselves."""
        async with db.session() as session:
            return await keys.list(session, principal)

    @router.get("/{key_id}")
    async def get_key(key_id: str, principal: KeyReader) -> KeyView:
        """One key."""
        async with db.session() as session:
            return await keys.get(session, key_id, principal)

    @router.post("", status_code=201)
    async def create_key(
        request: KeyRequest, principal: Annotated[Principal, Depends(require_permission("key:create"))]
    ) -> CreatedKey:
        """A new key; it is shown in this answer only."""
        async with db.transaction() as session:
            return await keys.create(session, request, principal)

    @router.post("/{key_id}/rotate", status_code=201)
    async def rotate_key(
        key_id: str,
        principal: Annotated[Principal, Depends(require_permission("key:rotate"))],
        overlap_hours: Annotated[float | None, Query(ge=0, le=24 * 90)] = None,
    ) -> CreatedKey:
        """The successor of a key; the old one goes on working for the overlap."""
        overlap = None if overlap_hours is None else timedelta(hours=overlap_hours)
        async with db.transaction() as session:
            return await keys.rotate(session, key_id, principal, overlap)

    @router.delete("/{key_id}")
    async def revoke_key(
        key_id: str, principal: Annotated[Principal, Depends(require_permission("key:revoke"))]
    ) -> KeyView:
        """Ends a key at once."""
        async with db.transaction() as session:
            return await keys.revoke(session, key_id, principal)

    return router
