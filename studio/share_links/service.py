"""Verbs on links to videos; called by the routes of those who make them, and by the pages that they open."""

from __future__ import annotations

import hmac
import html
import re
import secrets
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from avatar.spec import Captions
from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit import AuditEntry, AuditLog
from policy.keys.service import hash_key
from soundstage.blobs import BlobStore
from soundstage.database import Database, utcnow
from soundstage.database.tenants import bypass_tenant_filter, tenant_scope
from soundstage.errors import Conflict, Invalid, NotFound, Unavailable
from soundstage.rate_limits import Rate, RateLimiter
from soundstage.telemetry import get_logger
from soundstage.views import read_view
from studio.renders.models import Render, RenderOutput
from studio.renders.planning import refuse_trashed
from studio.renders.repository import Renders
from studio.renders.service import render_of
from studio.renders.states import RenderState
from studio.share_links.models import ShareLink
from studio.share_links.repository import ShareLinks
from studio.share_links.schemas import ShareLinkDraft, ShareLinkView
from studio.share_links.states import LinkState, state_at

TOKEN_BYTES = 32
"""Written as 64 hex digits, as API keys: the mask of the log knows them by their look."""
LONGEST = timedelta(days=366)
MAX_LINKS = 200
"""Of one video, with those that have ended."""
ROLES = ("video", "vtt", "poster")
"""Files of a video that a link opens."""
RESOLUTION = timedelta(minutes=1)
COUNTED = Rate(burst=60, per_minute=60)
"""Uses of one link that are written down: a stranger shall not keep the database writing."""
RECENT = 1024

log = get_logger(__name__)


_CUE = re.compile(r"-->[^\n]*\n(?P<text>(?:[^\n]+\n?)+)")


def text_of_captions(vtt: str) -> str:
    """Returns the words of a WebVTT file on one line, without times and marks."""
    lines = (re.sub(r"<[^>]*>", "", cue["text"]) for cue in _CUE.finditer(vtt))
    return html.unescape(" ".join(" ".join(lines).split()))


@dataclass(frozen=True, slots=True)
class SharedVideo:
    """A video as its link shows it, with its files by role."""

    title: str
    files: dict[str, RenderOutput]
    shows_captions: bool
    """Whether its picture has the captions already."""
    transcript: str = ""
    """What is said, without times; empty where the video has no captions."""


@dataclass(frozen=True, slots=True)
class ShareLinkService:
    db: Database
    blobs: BlobStore
    audit: AuditLog
    _counted: RateLimiter = field(default_factory=lambda: RateLimiter(COUNTED))
    _recent: OrderedDict[str, None] = field(default_factory=OrderedDict)

    async def list(self, ref: str) -> list[ShareLinkView]:
        """Returns the links of a video, newest first, with those that have ended."""
        async with self.db.session() as session:
            render = await render_of(session, ref)
            now = utcnow()
            return [_view_of(row, now) for row in await ShareLinks(session).of_render(render.id)]

    async def create(self, ref: str, draft: ShareLinkDraft, *, by: str) -> tuple[ShareLinkView, str]:
        """Returns the new link and its token, which is stored nowhere.

        Raises `render.in_trash`, `share_link.not_finished`, `share_link.expires_in_the_past`,
        `share_link.too_long` and `share_link.too_many`.
        """
        token = secrets.token_hex(TOKEN_BYTES)
        async with self.db.transaction() as session:
            render = await render_of(session, ref)
            refuse_trashed(render)
            if "video" not in await _files(session, render):
                raise Conflict(
                    "share_link.not_finished",
                    f"This {render.kind} is {render.state}; a link shows a finished video.",
                    "Wait until it is done.",
                )
            now = utcnow()
            _check_end(draft.expires_at, now)
            links = ShareLinks(session)
            if await links.count(render.id) >= MAX_LINKS:
                raise Conflict(
                    "share_link.too_many",
                    f"This video has had {MAX_LINKS} links.",
                    "Give one of those that still work to more people.",
                )
            row = ShareLink(
                render_id=render.id,
                name=draft.name,
                token_sha256=hash_key(token),
                expires_at=draft.expires_at,
                created_by=by,
            )
            await links.add(row)
            await self._record(session, row, render, "link.created", by)
            return _view_of(row, now), token

    async def revoke(self, ref: str, link_id: str, *, by: str) -> ShareLinkView:
        """Ends a link at once; nothing happens to one that has ended. Raises `share_link.not_found`."""
        async with self.db.transaction() as session:
            render = await render_of(session, ref)
            row = await ShareLinks(session).find_of(render.id, link_id)
            if row is None:
                raise NotFound(
                    "share_link.not_found",
                    f"This video has no link {link_id!r}.",
                    "`soundstage links list` lists them.",
                )
            now = utcnow()
            if state_at(row, now) is LinkState.ACTIVE:
                row.revoked_at = now
                await self._record(session, row, render, "link.revoked", by)
            return _view_of(row, now)

    async def open(self, token: str) -> SharedVideo:
        """Returns what the page of a link shows, and counts the use. Raises `share_link.closed`."""
        link, render, files = await self._find(token, with_spec=True)
        if self._counted.take(link.id) == 0:
            await self._record_use(link, opened=True)
        captions = (render.spec.get("output") or {}).get("captions") or {}
        burned = Captions(mode=captions.get("mode", "soft")).burned
        return SharedVideo(render.title, files, burned, await self._transcript(files.get("vtt")))

    async def _transcript(self, captions: RenderOutput | None) -> str:
        if captions is None:
            return ""
        with suppress(NotFound, OSError, UnicodeDecodeError):
            return text_of_captions((await self.blobs.read(captions.sha256)).decode())
        return ""

    async def open_file(self, token: str, role: str) -> tuple[RenderOutput, Path]:
        """Returns a file of the video, and where it lies. Raises `share_link.closed`."""
        link, _, files = await self._find(token)
        if (output := files.get(role)) is None:
            raise share_link_closed()
        is_quiet = link.last_used_at is None or utcnow() - link.last_used_at >= RESOLUTION
        if is_quiet and self._counted.take(link.id) == 0:
            await self._record_use(link, opened=False)
        return output, await self.blobs.local_path(output.sha256)

    def was_right(self, token: str) -> bool:
        """Returns whether this token opened its video when it came last: no flood of wrong ones stops it."""
        return hash_key(token) in self._recent

    async def _find(
        self, token: str, *, with_spec: bool = False
    ) -> tuple[ShareLink, Render, dict[str, RenderOutput]]:
        """The same answer for each reason why there is nothing: it tells a stranger of no video."""
        digest = hash_key(token)
        # Whose it is says the row alone: whoever has a link has no tenant.
        with bypass_tenant_filter():
            async with self.db.session() as session:
                found = await ShareLinks(session).find_by_hash(digest)
                if found is not None and _is_open(*found, digest):
                    link, render = found
                    if "video" in (files := await _files(session, render)):
                        self._remember(digest)
                        if with_spec:
                            await session.refresh(render, ["spec"])
                        return link, render, files
        self._recent.pop(digest, None)
        raise share_link_closed()

    def _remember(self, digest: str) -> None:
        self._recent[digest] = None
        self._recent.move_to_end(digest)
        if len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    async def _record_use(self, link: ShareLink, *, opened: bool) -> None:
        try:
            with tenant_scope(link.tenant):
                async with self.db.transaction() as session:
                    await ShareLinks(session).record_use(link.id, utcnow(), opened=opened)
        except Unavailable as error:
            # The database is locked; the video is shown all the same.
            log.warning("use of a link not recorded", link=link.id, reason=error.code)

    async def _record(
        self, session: AsyncSession, row: ShareLink, render: Render, kind: str, by: str
    ) -> None:
        facts = {"link": row.id, "expires_at": row.expires_at.isoformat()}
        line = AuditEntry(
            kind,
            by,
            render.id,
            trace_id=render.trace_id,
            tenant=render.tenant,
            data=facts,
            redactable={"title": render.title, "name": row.name},
        )
        await self.audit.record(session, line)


def share_link_closed() -> NotFound:
    """Returns the error for a link that shows nothing, for whichever reason."""
    return NotFound(
        "share_link.closed",
        "There is no video at this address, or not any more.",
        "Ask for a new link where this one came from.",
    )


def _is_open(link: ShareLink, render: Render, digest: str) -> bool:
    """The database found the row by its index; hashes are compared in constant time, as those of keys."""
    is_same = hmac.compare_digest(link.token_sha256, digest)
    return is_same and state_at(link, utcnow()) is LinkState.ACTIVE and render.trashed_at is None


def _check_end(expires_at: datetime, now: datetime) -> None:
    if expires_at <= now:
        raise Invalid(
            "share_link.expires_in_the_past",
            "The link would have ended already.",
            "Choose a later `expires_at`.",
            field="expires_at",
        )
    if expires_at > now + LONGEST:
        raise Invalid(
            "share_link.too_long",
            "A link lasts a year at most.",
            "Choose an earlier `expires_at`.",
            field="expires_at",
        )


async def _files(session: AsyncSession, render: Render) -> dict[str, RenderOutput]:
    """Returns the files that a link opens; none of what is not finished, or a preview."""
    if render.state != RenderState.DONE or render.kind == "preview":
        return {}
    outputs = await Renders(session).outputs([render.id])
    return {output.role: output for output in outputs if output.role in ROLES}


def _view_of(row: ShareLink, now: datetime) -> ShareLinkView:
    return read_view(ShareLinkView, row, state=state_at(row, now))
