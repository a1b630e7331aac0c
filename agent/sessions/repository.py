"""All SQL of the agent's sessions; used by their service only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from agent.sessions.models import AgentSession, AgentTurn


class SessionRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, session_id: str) -> AgentSession | None:
        return await self._session.get(AgentSession, session_id)

    def add(self, row: AgentSession | AgentTurn) -> None:
        self._session.add(row)

    async def turn(self, session_id: str, number: int) -> AgentTurn | None:
        return await self._session.get(AgentTurn, (session_id, number))

    async def of_principal(self, principal_id: str, limit: int) -> Sequence[AgentSession]:
        """The newest first."""
        query = select(AgentSession).where(AgentSession.principal_id == principal_id)
        rows = await self._session.scalars(query.order_by(AgentSession.updated_at.desc()).limit(limit))
        return rows.all()

    async def turns(self, session_id: str, limit: int) -> Sequence[AgentTurn]:
        """The last `limit` turns, the oldest first."""
        query = select(AgentTurn).where(AgentTurn.session_id == session_id)
        rows = await self._session.scalars(query.order_by(AgentTurn.number.desc()).limit(limit))
        return list(reversed(rows.all()))
