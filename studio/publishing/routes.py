"""REST of publishing: connect a channel, publish a render, watch it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, status
from fastapi.responses import PlainTextResponse
from sse_starlette import EventSourceResponse

from policy import Principal, public, require_permission
from soundstage.events import sse_response
from soundstage.paging import PAGED, PagingDep, SearchText
from studio.idempotency.header import IdempotencyKeyDep
from studio.idempotency.service import Submission
from studio.publishing.journal import stream_of
from studio.publishing.repository import PublicationFilter, PublicationSort
from studio.publishing.schemas import (
    AccountView,
    ConsentPage,
    PublicationPlan,
    PublicationView,
    PublishRequest,
    QuotaView,
    UploadRequest,
)
from studio.publishing.service import is_end
from studio.publishing.states import PublicationState
from studio.wiring import Studio, StudioDep

router = APIRouter(tags=["publishing"])

ReadPublications = Annotated[Principal, Depends(require_permission("publication:read"))]
CreatePublications = Annotated[Principal, Depends(require_permission("publication:create"))]
CancelPublications = Annotated[Principal, Depends(require_permission("publication:cancel"))]
ConnectAccounts = Annotated[Principal, Depends(require_permission("publication:connect"))]

CALLBACK = "/youtube/callback"


@router.post("/youtube/upload", status_code=status.HTTP_202_ACCEPTED)
async def upload_to_youtube(
    request: UploadRequest, studio: StudioDep, principal: CreatePublications, key: IdempotencyKeyDep
) -> PublicationView:
    """Queues a finished render for YouTube and answers at once; private unless asked otherwise."""
    return await _publish(studio, request.render, request, principal, key)


@router.post("/api/renders/{render_id}/publish", status_code=status.HTTP_202_ACCEPTED, tags=["renders"])
async def publish_render(
    render_id: str,
    request: PublishRequest,
    studio: StudioDep,
    principal: CreatePublications,
    key: IdempotencyKeyDep,
) -> PublicationView:
    """The same, from the render's side."""
    return await _publish(studio, render_id, request, principal, key)


@router.post("/api/renders/{render_id}/publish/plan", tags=["renders"])
async def plan_publication(
    render_id: str, request: PublishRequest, studio: StudioDep, _: CreatePublications
) -> PublicationPlan:
    """Returns to the letter what would be sent, and to whom; sends nothing."""
    return await studio.outgoing.publishing.plan(render_id, request)


@router.get("/api/publications", responses=PAGED)
async def list_publications(
    studio: StudioDep,
    _: ReadPublications,
    paging: PagingDep,
    q: SearchText = None,
    sort: PublicationSort = "-created",
    state: Annotated[list[PublicationState] | None, Query(max_length=20)] = None,
    render: Annotated[str | None, Query(max_length=60)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[PublicationView]:
    """Newest first. `Link` leads to the next page, `X-Total-Count` counts all that match."""
    criteria = PublicationFilter(sort, q, state or (), render)
    return paging.answer(await studio.outgoing.publishing.find_page(criteria, paging.ask(limit)))


@router.get("/api/publications/{publication_id}")
async def get_publication(publication_id: str, studio: StudioDep, _: ReadPublications) -> PublicationView:
    return await studio.outgoing.publishing.get(publication_id)


@router.get("/api/publications/{publication_id}/events", response_class=EventSourceResponse)
async def follow_publication(
    publication_id: str, request: Request, studio: StudioDep, _: ReadPublications
) -> EventSourceResponse:
    """Server-sent events from the first (or after Last-Event-ID) until it has ended."""
    view = await studio.outgoing.publishing.get(publication_id)
    return sse_response(request, studio.events, stream_of(view.id), until=is_end)


@router.post("/api/publications/{publication_id}/cancel", status_code=status.HTTP_202_ACCEPTED)
async def cancel_publication(
    publication_id: str, studio: StudioDep, _: CancelPublications
) -> PublicationView:
    """Before YouTube has the last byte; afterwards only YouTube Studio can take it back."""
    return await studio.outgoing.publishing.cancel(publication_id)


@router.post("/api/publications/{publication_id}/retry", status_code=status.HTTP_202_ACCEPTED)
async def retry_publication(publication_id: str, studio: StudioDep, _: CreatePublications) -> PublicationView:
    """A video that YouTube has already is not sent again."""
    return await studio.outgoing.publishing.retry(publication_id)


@router.get("/youtube/accounts")
async def list_accounts(studio: StudioDep, _: ReadPublications) -> list[AccountView]:
    """The channels that are connected."""
    return await studio.outgoing.accounts.all()


@router.post("/youtube/connect")
async def connect_account(request: Request, studio: StudioDep, principal: ConnectAccounts) -> ConsentPage:
    """The page of Google's on which the owner of a channel agrees; open it in a browser on this machine."""
    base = studio.outgoing.public_url or str(request.base_url)
    redirect = base.rstrip("/") + CALLBACK
    return await studio.outgoing.accounts.connect(redirect, requested_by=principal.name)


@router.get(
    CALLBACK,
    response_class=PlainTextResponse,
    dependencies=[Depends(public("Google sends the owner's browser here; `state` is a secret, good once"))],
)
async def come_back(
    studio: StudioDep,
    state: str = Query(max_length=200),
    code: str = Query(default="", max_length=2000),
    error: str = Query(default="", max_length=200),
) -> PlainTextResponse:
    if error or not code:
        return PlainTextResponse(
            "Nothing was connected: the consent was not given. You can close this page.", 403
        )
    account = await studio.outgoing.accounts.come_back(state, code)
    return PlainTextResponse(f"{account.title} is connected. You can close this page.")


@router.delete("/youtube/accounts/{account_id}", status_code=status.HTTP_204_NO_CONTENT)
async def disconnect_account(account_id: str, studio: StudioDep, _: ConnectAccounts) -> None:
    """Gives the tokens back and forgets them; what is published stays."""
    await studio.outgoing.accounts.disconnect(account_id)


@router.get("/youtube/quota")
async def read_quota(studio: StudioDep, _: ReadPublications) -> QuotaView:
    """Units of today, as we have counted them."""
    return await studio.outgoing.quota.view()


async def _publish(
    studio: Studio, ref: str, request: PublishRequest, principal: Principal, key: str | None
) -> PublicationView:
    publishing = studio.outgoing.publishing
    if key is None:
        return await publishing.publish(ref, request, requested_by=principal.name)
    body = UploadRequest.model_validate({**request.model_dump(), "render": ref})
    return await studio.idempotency.once(
        Submission.of(principal.id, "publication:create", key, body),
        lambda claim: publishing.publish(ref, request, requested_by=principal.name, claim=claim),
        publishing.get,
    )
