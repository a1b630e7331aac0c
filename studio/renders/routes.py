"""REST of renders: ask, watch, fetch, end."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, status
from fastapi.responses import FileResponse, PlainTextResponse, Response
from pydantic import BaseModel
from sse_starlette import EventSourceResponse

from soundstage.events import last_event_id, sse_response
from soundstage.paging import PAGED, PagingDep, SearchText
from studio.consents.disclosure import redact_spec
from studio.downloads import content_answer, file_answer
from studio.guards import CancelRenders, CreateRenders, DeleteRenders, ReadRenders, UpdateRenders
from studio.idempotency.header import IdempotencyKeyDep
from studio.idempotency.service import Submission
from studio.renders.journal import stream_of
from studio.renders.listing import RenderFilter, RenderSort
from studio.renders.schemas import (
    RenderChange,
    RenderDetail,
    RenderKind,
    RenderPlan,
    RenderRequest,
    RenderSummary,
    RenderView,
)
from studio.renders.service import is_end
from studio.renders.states import RenderState
from studio.renders.transcript import Transcript, read_transcript
from studio.tags import TagQuery
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/renders", tags=["renders"])


class Explanation(BaseModel):
    explanation: str


@router.get("", responses=PAGED)
async def list_renders(
    studio: StudioDep,
    _: ReadRenders,
    paging: PagingDep,
    q: SearchText = None,
    sort: RenderSort = "-created",
    state: Annotated[list[RenderState] | None, Query(max_length=20)] = None,
    kind: Annotated[list[RenderKind] | None, Query(max_length=20)] = None,
    persona: Annotated[str | None, Query(max_length=80)] = None,
    project: Annotated[str | None, Query(max_length=80, description="id or slug")] = None,
    tag: TagQuery = None,
    trash: Annotated[bool, Query(description="those in the trash, and no others")] = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[RenderSummary]:
    """Short forms, newest first. `Link` leads to the next page, `X-Total-Count` counts all that match."""
    criteria = RenderFilter(sort, q, state or (), kind or (), persona, project, tag or (), trash)
    return paging.answer(await studio.render_list.find_page(criteria, paging.ask(limit)))


@router.post("", status_code=status.HTTP_202_ACCEPTED)
async def create_render(
    request: RenderRequest, studio: StudioDep, principal: CreateRenders, key: IdempotencyKeyDep
) -> RenderView:
    """Queues a video and answers at once; follow its events, or read it again."""
    if key is None:
        return await studio.renders.create(request, requested_by=principal.name)
    return await studio.idempotency.once(
        Submission.of(principal.id, "render:create", key, request),
        lambda claim: studio.renders.create(request, requested_by=principal.name, claim=claim),
        studio.renders.get,
    )


@router.post("/plan")
async def plan_render(request: RenderRequest, studio: StudioDep, _: CreateRenders) -> RenderPlan:
    """Scenes that are there already and scenes to be made, how long that takes, and all that is missing;
    nothing is made.
    """
    return await studio.renders.preflight(request)


@router.get("/{render_id}")
async def get_render(render_id: str, studio: StudioDep, principal: ReadRenders) -> RenderDetail:
    """With spec and segments."""
    detail = await studio.renders.detail(render_id)
    return detail.model_copy(update={"spec": redact_spec(principal, detail.spec)})


@router.get("/{render_id}/explain")
async def explain_render(render_id: str, studio: StudioDep, _: ReadRenders) -> Explanation:
    """Explains the state of a render in one sentence."""
    return Explanation(explanation=await studio.renders.explain(render_id))


@router.get("/{render_id}/transcript")
async def get_transcript(render_id: str, studio: StudioDep, _: ReadRenders) -> Transcript:
    """The spoken words with their times in the video."""
    return await read_transcript(studio.renders.db, studio.renders.blobs, render_id)


@router.get("/{render_id}/log", response_class=PlainTextResponse)
async def read_log(render_id: str, studio: StudioDep, _: ReadRenders) -> PlainTextResponse:
    """The last of what the worker wrote when this render failed."""
    return PlainTextResponse(await studio.renders.log(render_id))


@router.post("/{render_id}/cancel", status_code=status.HTTP_202_ACCEPTED)
async def cancel_render(render_id: str, studio: StudioDep, principal: CancelRenders) -> RenderView:
    return await studio.renders.cancel(render_id, by=principal.name)


@router.post("/{render_id}/retry", status_code=status.HTTP_202_ACCEPTED)
async def retry_render(render_id: str, studio: StudioDep, _: CreateRenders) -> RenderView:
    """Another try of the same spec; finished segments are not made again."""
    return await studio.renders.retry(render_id)


@router.delete("/{render_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_render(
    render_id: str,
    studio: StudioDep,
    principal: DeleteRenders,
    forever: Annotated[bool, Query(description="delete it at once, wherever it is")] = False,
) -> None:
    """Moves it to the trash with its files, which is emptied after `retention.trash_days`."""
    if forever:
        await studio.renders.delete(render_id)
    else:
        await studio.render_editing.trash(render_id, by=principal.name)


@router.post("/{render_id}/restore")
async def restore_render(render_id: str, studio: StudioDep, principal: UpdateRenders) -> RenderView:
    """Takes it out of the trash, as it was."""
    return await studio.render_editing.restore(render_id, by=principal.name)


@router.patch("/{render_id}")
async def change_render(
    render_id: str, change: RenderChange, studio: StudioDep, principal: UpdateRenders
) -> RenderView:
    """Title, tags and priority; only what is given changes."""
    return await studio.render_editing.change(render_id, change, by=principal.name)


@router.get("/{render_id}/files/{role}")
async def download_output(
    render_id: str, role: str, studio: StudioDep, _: ReadRenders, download: bool = False
) -> FileResponse:
    """`role`: video, vtt, srt, poster or provenance. Ranges are served."""
    output, path = await studio.renders.open_output(render_id, role)
    return file_answer(
        path, name=output.name, media_type=output.media_type, sha256=output.sha256, download=download
    )


@router.get("/{render_id}/preview", response_class=Response)
async def show_preview(render_id: str, studio: StudioDep, _: ReadRenders) -> Response:
    """The latest frame that was drawn, as a small JPEG; its address stands in the progress events."""
    preview, picture = await studio.renders.read_preview(render_id)
    return content_answer(picture, media_type="image/jpeg", sha256=preview.sha256)


@router.get("/{render_id}/events", response_class=EventSourceResponse)
async def follow_render(render_id: str, request: Request, studio: StudioDep, _: ReadRenders) -> Response:
    """Server-sent events from the first (or after Last-Event-ID) until the render has ended; 204 when there
    is nothing more to tell.
    """
    view = await studio.renders.get(render_id)
    if await studio.renders.is_exhausted(view, last_event_id(request) or 0):
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    return sse_response(
        request, studio.events, stream_of(view.id), until=lambda event: is_end(event, view.attempt)
    )
