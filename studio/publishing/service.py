"""Verbs on publications; called by the routes and, once people have agreed, by the agent's tool.

Carrying them out is the publisher's work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avatar.spec import Failed
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database, new_id, utcnow
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.events import Event, EventStore
from soundstage.paging import Page, PageRequest
from soundstage.settings import YoutubeSettings
from soundstage.telemetry import new_trace_id, trace_id
from soundstage.views import read_view
from studio.consents.service import check_consents
from studio.idempotency.service import Claim
from studio.publishing.accounts import choose_account, require_setup
from studio.publishing.journal import PublicationJournal
from studio.publishing.metadata import video_resource
from studio.publishing.models import Account, Publication
from studio.publishing.quota import UploadQuota
from studio.publishing.repository import PublicationFilter, Publications
from studio.publishing.schemas import TITLE_CHARS, PublicationPlan, PublicationView, PublishRequest
from studio.publishing.states import TERMINAL, PublicationState
from studio.renders.admission import consents_in
from studio.renders.making import spec_of
from studio.renders.models import Render, RenderOutput
from studio.renders.planning import refuse_trashed
from studio.renders.repository import Renders
from studio.renders.service import render_of
from studio.renders.states import RenderState


@dataclass(frozen=True, slots=True)
class PublishingService:
    db: Database
    events: EventStore
    quota: UploadQuota
    settings: YoutubeSettings
    wake: Callable[[], None] = lambda: None

    async def plan(self, ref: str, request: PublishRequest) -> PublicationPlan:
        """Returns what would be sent and to which channel; changes nothing and calls no service."""
        async with self.db.session() as session:
            ready = await self._checked(session, ref, request)
        quota = await self.quota.view()
        settings = self.settings
        units = (
            settings.upload_units
            + settings.caption_units * ready.has("vtt", request.captions)
            + settings.thumbnail_units * ready.has("poster", request.thumbnail)
        )
        return PublicationPlan(
            render_id=ready.render.id,
            account_id=ready.account.id,
            channel_id=ready.account.channel_id,
            channel=ready.account.title,
            video=video_resource(ready.request),
            notify_subscribers=request.notify_subscribers,
            bytes=ready.outputs["video"].bytes,
            captions=ready.has("vtt", request.captions),
            thumbnail=ready.has("poster", request.thumbnail),
            quota_units=units,
            quota_left=max(0, quota.limit - quota.used),
        )

    async def publish(
        self, ref: str, request: PublishRequest, *, requested_by: str, claim: Claim | None = None
    ) -> PublicationView:
        """Queues it and answers at once. Raises what forbids it: no channel, no video, no consent."""
        async with self.db.transaction() as session:
            publication_id = new_id("pub")
            if claim is not None:
                await claim(session, publication_id)
            ready = await self._checked(session, ref, request)
            row = Publication(
                id=publication_id,
                render_id=ready.render.id,
                account_id=ready.account.id,
                state=PublicationState.QUEUED,
                wishes=ready.request.model_dump(mode="json"),
                bytes_total=ready.outputs["video"].bytes,
                requested_by=requested_by,
                trace_id=ready.render.trace_id or trace_id() or new_trace_id(),
            )
            await Publications(session).add(row)
            await PublicationJournal(self.events).tell(
                session, row, "publication.created", state=row.state, title=ready.request.title
            )
            view = view_of(row)
        self.wake()
        return view

    async def get(self, publication_id: str) -> PublicationView:
        async with self.db.session() as session:
            return view_of(await publication_of(session, publication_id))

    async def page(self, render: str | None = None, limit: int = 50) -> list[PublicationView]:
        """Newest first."""
        return (await self.find_page(PublicationFilter(render=render), PageRequest(limit))).items

    async def find_page(self, criteria: PublicationFilter, request: PageRequest) -> Page[PublicationView]:
        async with self.db.session() as session:
            render_id = (await render_of(session, criteria.render)).id if criteria.render else None
            page = await Publications(session).page(criteria, render_id, request)
            return page.of([view_of(row) for row in page.items])

    async def cancel(self, publication_id: str) -> PublicationView:
        """At once while it waits; otherwise before the next chunk. What YouTube has whole stays there."""
        async with self.db.transaction() as session:
            row = await publication_of(session, publication_id)
            state = PublicationState(row.state)
            if state is PublicationState.QUEUED:
                await PublicationJournal(self.events).move(session, row, PublicationState.CANCELLED)
            elif state is PublicationState.UPLOADING:
                row.cancel_requested, row.next_at = True, utcnow()
            elif state is PublicationState.PROCESSING:
                raise Conflict(
                    "publication.already_there",
                    "YouTube has the whole video already.",
                    "Delete it in YouTube Studio if it is not wanted.",
                )
            elif state is not PublicationState.CANCELLED:
                raise Conflict("publication.ended", f"This publication is {state} already.")
            view = view_of(row)
        self.wake()
        return view

    async def retry(self, publication_id: str) -> PublicationView:
        """Another try. A video that YouTube has is not sent again; any other begins with its first byte."""
        async with self.db.transaction() as session:
            row = await publication_of(session, publication_id)
            if row.state not in (PublicationState.FAILED, PublicationState.CANCELLED):
                raise Conflict(
                    "publication.not_failed",
                    f"This publication is {row.state}; only a failed or cancelled one can be tried again.",
                )
            there = row.video_id is not None
            if not there:
                row.session_url_sealed, row.sessions, row.bytes_sent = None, 0, 0
                row.maybe_whole = False
            row.next_at = utcnow()
            state = PublicationState.PROCESSING if there else PublicationState.QUEUED
            await PublicationJournal(self.events).move(session, row, state, waits="retry")
            view = view_of(row)
        self.wake()
        return view

    async def _checked(self, session: AsyncSession, ref: str, request: PublishRequest) -> _Ready:
        require_setup(self.settings)
        render = await render_of(session, ref)
        refuse_trashed(render)
        outputs = {output.role: output for output in await Renders(session).outputs([render.id])}
        if render.state != RenderState.DONE or "video" not in outputs or render.kind == "preview":
            raise Conflict(
                "publication.no_video",
                f"This {render.kind} is {render.state}; only a finished video can be published.",
                "Wait until the render is done, or make one that is no preview.",
            )
        await check_consents(session, consents_in(spec_of(render)))
        account = await choose_account(session, request.account)
        if not request.again and (found := await Publications(session).find_active(render.id, account.id)):
            raise Conflict(
                "publication.exists",
                f"This channel has this video already, or is getting it: {found.id}.",
                "Set `again` to true to publish it a second time.",
            )
        if request.publish_at is not None and request.publish_at <= utcnow():
            raise Invalid("publication.in_past", "`publish_at` is in the past.", "Give a time to come.")
        return _Ready(render, account, outputs, _with_title(request, render.title))


@dataclass(frozen=True, slots=True)
class _Ready:
    """All that was looked up for a request that may go ahead. `request` has the account and a title."""

    render: Render
    account: Account
    outputs: dict[str, RenderOutput]
    request: PublishRequest

    def has(self, role: str, criteria: bool) -> bool:
        return criteria and role in self.outputs


def _with_title(request: PublishRequest, fallback: str) -> PublishRequest:
    """The title of a render may hold what YouTube does not take."""
    title = request.title or fallback.replace("<", "‹").replace(">", "›")[:TITLE_CHARS].strip() or "Video"
    # Of the base class, whatever came in: what is stored is read back as this.
    fields = {name: getattr(request, name) for name in PublishRequest.model_fields}
    return PublishRequest.model_validate({**fields, "title": title})


def is_end(event: Event) -> bool:
    """Returns whether this event ends a publication."""
    return event.kind == "publication.state" and event.data.get("state") in TERMINAL


async def publication_of(session: AsyncSession, publication_id: str) -> Publication:
    missing = NotFound(
        "publication.not_found",
        f"There is no publication {publication_id!r}.",
        "`soundstage publish list` lists them.",
    )
    return await Publications(session).require(publication_id, missing)


def view_of(row: Publication) -> PublicationView:
    return read_view(
        PublicationView,
        row,
        wishes=PublishRequest.model_validate(row.wishes),
        error=Failed.model_validate(row.error) if row.error else None,
    )
