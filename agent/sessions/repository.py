"""All SQL of the agent's sessions; used by their service only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from agent.sessions.models import AgentSession, AgentTurn
from policy import Principal

# Made once: it is asked with every sentence.
_LOST = (
    select(AgentTurn)
    .where(
        AgentTurn.session_id == bindparam("session"),
        AgentTurn.finished_at.is_(None),
        or_(AgentTurn.alive_until.is_(None), AgentTurn.alive_until < bindparam("now")),
    )
    .order_by(AgentTurn.number)
)


class SessionRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, session_id: str) -> AgentSession | None:
        return await self._session.get(AgentSession, session_id)

    async def own(self, principal: Principal, session_id: str) -> AgentSession | None:
        """None for one that is somebody else's too, or of the same one in another tenant."""
        row = await self.get(session_id)
        if row is None or (row.tenant, row.principal_id) != (principal.tenant, principal.id):
            return None
        return row

    def add(self, row: AgentSession | AgentTurn) -> None:
        self._session.add(row)

    async def turn(self, session_id: str, number: int) -> AgentTurn | None:
        return await self._session.get(AgentTurn, (session_id, number))

    async def turn_of_request(self, principal: Principal, request_id: str) -> AgentTurn | None:
        query = (
            select(AgentTurn)
            .join(AgentSession, AgentSession.id == AgentTurn.session_id)
            .where(*_of(principal), AgentTurn.request_id == request_id)
        )
        found: AgentTurn | None = await self._session.scalar(query.limit(1))
        return found

    async def lost(self, session_id: str, now: datetime) -> Sequence[AgentTurn]:
        """Turns that nobody answers any more."""
        return (await self._session.scalars(_LOST, {"session": session_id, "now": now})).all()

    async def of_principal(self, principal: Principal, limit: int) -> Sequence[AgentSession]:
        """The newest first."""
        query = select(AgentSession).where(*_of(principal))
        rows = await self._session.scalars(query.order_by(AgentSession.updated_at.desc()).limit(limit))
        return rows.all()

    async def all_of(self, tenant: str, principal_id: str) -> Sequence[AgentSession]:
        query = select(AgentSession).where(*_owned(tenant, principal_id))
        return (await self._session.scalars(query)).all()

    async def saying(self, tenant: str, principal_id: str, words: Collection[str]) -> Sequence[AgentTurn]:
        """Turns in which one of these words was said or answered, in whatever case; without words, all."""
        query = (
            select(AgentTurn)
            .join(AgentSession, AgentSession.id == AgentTurn.session_id)
            .where(*_owned(tenant, principal_id))
        )
        if words:
            places = (AgentTurn.utterance, AgentTurn.reply)
            query = query.where(
                or_(*(place.icontains(word, autoescape=True) for place in places for word in words))
            )
        return (await self._session.scalars(query.order_by(AgentTurn.started_at))).all()

    async def turns(self, session_id: str, limit: int) -> Sequence[AgentTurn]:
        """The last `limit` turns, the oldest first."""
        query = select(AgentTurn).where(AgentTurn.session_id == session_id)
        rows = await self._session.scalars(query.order_by(AgentTurn.number.desc()).limit(limit))
        return list(reversed(rows.all()))


def _of(principal: Principal) -> tuple[ColumnElement[bool], ...]:
    return _owned(principal.tenant, principal.id)


def _owned(tenant: str, principal_id: str) -> tuple[ColumnElement[bool], ...]:
    return (AgentSession.tenant == tenant, AgentSession.principal_id == principal_id)
