"""All SQL on links to videos."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import defer

from soundstage.database.repository import Repository
from studio.renders.models import Render
from studio.share_links.models import ShareLink


class ShareLinks(Repository[ShareLink]):
    async def find_of(self, render_id: str, link_id: str) -> ShareLink | None:
        """Returns a link of this video."""
        link = await self._session.get(ShareLink, link_id)
        return link if link is not None and link.render_id == render_id else None

    async def of_render(self, render_id: str) -> Sequence[ShareLink]:
        """Newest first."""
        query = select(ShareLink).where(ShareLink.render_id == render_id)
        return await self._all(query.order_by(ShareLink.id.desc()))

    async def count(self, render_id: str) -> int:
        """Counts the links of a video, with those that have ended."""
        return await self._count(select(func.count(ShareLink.id)).where(ShareLink.render_id == render_id))

    async def find_by_hash(self, sha256: str) -> tuple[ShareLink, Render] | None:
        """Returns the link whose token has this hash, with its video; without spec and log of that."""
        query = (
            select(ShareLink, Render)
            .join(Render, Render.id == ShareLink.render_id)
            .where(ShareLink.token_sha256 == sha256)
            .options(defer(Render.spec, raiseload=True), defer(Render.worker_log, raiseload=True))
        )
        found = (await self._session.execute(query)).first()
        return None if found is None else (found[0], found[1])

    async def record_use(self, link_id: str, now: datetime, *, opened: bool) -> None:
        """Sets when it was used last, and counts it where its page was opened."""
        await self._session.execute(
            update(ShareLink)
            .where(ShareLink.id == link_id)
            .values(last_used_at=now, uses=ShareLink.uses + int(opened))
        )
