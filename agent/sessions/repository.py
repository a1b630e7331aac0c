"""All SQL of the agent's sessions; used by their service only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Table,
    bindparam,
    case,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from agent.sessions.models import AgentSession, AgentTurn
from policy import Principal

_SESSIONS = cast(Table, AgentSession.__table__)
_TURNS = cast(Table, AgentTurn.__table__)
_OWN = (
    _SESSIONS.c.id == bindparam("session"),
    _SESSIONS.c.tenant == bindparam("of_tenant"),
    _SESSIONS.c.principal_id == bindparam("of_principal"),
)

# Made once, of tables and not of classes: these are asked with every sentence.
_PERSONA = select(_SESSIONS.c.persona_id).where(*_OWN)
_BEGIN = (
    update(_SESSIONS)
    .where(*_OWN)
    .values(
        turns=_SESSIONS.c.turns + 1,
        updated_at=bindparam("now"),
        title=case((_SESSIONS.c.title == "", bindparam("said")), else_=_SESSIONS.c.title),
    )
    .returning(
        _SESSIONS.c.turns, _SESSIONS.c.last_render_id, _SESSIONS.c.last_project_id, _SESSIONS.c.persona_id
    )
)
_ADD_TURN = insert(_TURNS)
_LOST = (
    select(_TURNS.c.number)
    .where(
        _TURNS.c.session_id == bindparam("session"),
        _TURNS.c.finished_at.is_(None),
        or_(_TURNS.c.alive_until.is_(None), _TURNS.c.alive_until < bindparam("now")),
    )
    .order_by(_TURNS.c.number)
)
_END = update(_TURNS).where(
    _TURNS.c.session_id == bindparam("of_session"),
    _TURNS.c.number == bindparam("of_number"),
    _TURNS.c.finished_at.is_(None),
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

    def add(self, row: AgentSession) -> None:
        self._session.add(row)

    async def persona(self, principal: Principal, session_id: str) -> tuple[str | None] | None:
        """The persona of a conversation, if it has one; None where `own` gives None."""
        found = (await self._session.execute(_PERSONA, _asked(principal, session_id))).first()
        return None if found is None else (found.persona_id,)

    async def begin(
        self, principal: Principal, session_id: str, said: str, now: datetime
    ) -> tuple[int, str | None, str | None, str | None] | None:
        """Counts a turn, whose first sentence is the title: its number, the render and the project that were
        spoken of last, and the persona; None where `own` gives None.
        """
        asked = _asked(principal, session_id)
        row = (await self._session.execute(_BEGIN, {**asked, "said": said, "now": now})).first()
        return None if row is None else (row.turns, row.last_render_id, row.last_project_id, row.persona_id)

    async def add_turn(self, **columns: Any) -> None:
        await self._session.execute(_ADD_TURN, columns)

    async def end(self, session_id: str, number: int, **columns: Any) -> bool:
        """Whether it had no end yet; one that has is left as it is."""
        of = {"of_session": session_id, "of_number": number}
        done = await self._session.execute(_END, {**of, **columns})
        return cast(CursorResult[Any], done).rowcount == 1

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

    async def lost(self, session_id: str, now: datetime) -> Sequence[int]:
        """The numbers of turns that nobody answers any more."""
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


def _asked(principal: Principal, session_id: str) -> dict[str, str]:
    return {"session": session_id, "of_tenant": principal.tenant, "of_principal": principal.id}


def _of(principal: Principal) -> tuple[ColumnElement[bool], ...]:
    return _owned(principal.tenant, principal.id)


def _owned(tenant: str, principal_id: str) -> tuple[ColumnElement[bool], ...]:
    return (AgentSession.tenant == tenant, AgentSession.principal_id == principal_id)
