"""REST of links to videos, for those who make them; the pages that links open are in `viewing`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, status

from policy import Principal, require_permission
from soundstage.telemetry import SHARED_PREFIX
from studio.share_links.schemas import CreatedShareLink, ShareLinkDraft, ShareLinkView
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/renders", tags=["links"])

ReadLinks = Annotated[Principal, Depends(require_permission("link:read"))]
CreateLinks = Annotated[Principal, Depends(require_permission("link:create"))]
RevokeLinks = Annotated[Principal, Depends(require_permission("link:revoke"))]


@router.get("/{render_id}/links")
async def list_share_links(render_id: str, studio: StudioDep, _: ReadLinks) -> list[ShareLinkView]:
    """Newest first, with those that have ended; never their addresses."""
    return await studio.share_links.list(render_id)


@router.post("/{render_id}/links", status_code=status.HTTP_201_CREATED)
async def create_share_link(
    render_id: str, draft: ShareLinkDraft, request: Request, studio: StudioDep, principal: CreateLinks
) -> CreatedShareLink:
    """Shows this video to whoever has the address of the link, without a login, until the link ends. The
    address is in this answer and in no other.
    """
    view, token = await studio.share_links.create(render_id, draft, by=principal.name)
    base = studio.outgoing.public_url or str(request.base_url)
    return CreatedShareLink(**view.model_dump(), url=f"{base.rstrip('/')}{SHARED_PREFIX}{token}")


@router.delete("/{render_id}/links/{link_id}")
async def revoke_share_link(
    render_id: str, link_id: str, studio: StudioDep, principal: RevokeLinks
) -> ShareLinkView:
    """Ends it at once; it stays in the list."""
    return await studio.share_links.revoke(render_id, link_id, by=principal.name)
