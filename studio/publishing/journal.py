"""Writes down what happens to a publication: its row and the event of it, always in one transaction."""

from __future__ import annotations

from typing import Any

from avatar.spec import Failed
from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import utcnow
from soundstage.database.tenants import tenant_attribute
from soundstage.events import EventStore
from studio.publishing.models import Publication
from studio.publishing.states import TERMINAL, PublicationState, move


def stream_of(publication_id: str) -> str:
    """The event stream of one publication."""
    return f"publication:{publication_id}"


class PublicationJournal:
    """Event kinds: publication.created, publication.state, publication.progress, publication.warning."""

    def __init__(self, events: EventStore) -> None:
        self._events = events

    async def tell(self, session: AsyncSession, row: Publication, kind: str, **data: Any) -> None:
        about = {"id": row.id, "render": row.render_id, **data, **tenant_attribute(row.tenant)}
        await self._events.append(session, stream_of(row.id), kind, about, trace_id=row.trace_id)

    async def move(
        self,
        session: AsyncSession,
        row: Publication,
        state: PublicationState,
        *,
        error: Failed | None = None,
        waits: str = "",
        reset_attempts: bool = True,
    ) -> None:
        """Sets the state, with times, error and attempts to match. Raises `publication.bad_transition`."""
        row.state = move(PublicationState(row.state), state)
        row.error = error.model_dump(mode="json", exclude={"event"}) if error else None
        row.waits = waits
        if reset_attempts:
            row.tries = 0
        row.cancel_requested = False
        row.finished_at = utcnow() if state in TERMINAL else None
        data: dict[str, Any] = {"state": state, "title": row.wishes.get("title"), "url": row.url}
        if row.error is not None:
            data["error"] = row.error
        if waits:
            data["why"] = waits
        await self.tell(session, row, "publication.state", **data)

    async def warn(self, session: AsyncSession, row: Publication, sentence: str) -> None:
        row.warnings = [*row.warnings, sentence]
        await self.tell(session, row, "publication.warning", message=sentence)
