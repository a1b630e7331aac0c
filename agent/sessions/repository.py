"""All SQL of the agent's sessions; used by their service only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Float,
    Table,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
    update,
)

from agent.sessions.models import AgentSession, AgentTurn
from policy import Principal
from soundstage.database import server_time
from soundstage.database.repository import Repository
from soundstage.errors import NotFound
from soundstage.paging import Order, Page, PageRequest, select_page

_SESSIONS = cast(Table, AgentSession.__table__)
_TURNS = cast(Table, AgentTurn.__table__)
_OF_PRINCIPAL = (
    _SESSIONS.c.tenant == bindparam("of_tenant"),
    _SESSIONS.c.principal_id == bindparam("of_principal"),
)
_OWN = (_SESSIONS.c.id == bindparam("session"), *_OF_PRINCIPAL)

LATEST_FIRST = Order(AgentSession.id, AgentSession.updated_at, datetime)

_PERSONA = select(_SESSIONS.c.persona_id).where(*_OWN)
_BEGIN = (
    update(_SESSIONS)
    .where(*_OWN)
    .values(
        turns=_SESSIONS.c.turns + 1,
        updated_at=bindparam("now"),
        title=case((_SESSIONS.c.title == "", bindparam("title_if_new")), else_=_SESSIONS.c.title),
    )
    .returning(
        _SESSIONS.c.turns,
        _SESSIONS.c.last_render_id,
        _SESSIONS.c.last_project_id,
        _SESSIONS.c.persona_id,
        _SESSIONS.c.dialogue,
    )
)
_OF_REQUEST = (
    select(_TURNS.c.session_id, _TURNS.c.number)
    .join(_SESSIONS, _SESSIONS.c.id == _TURNS.c.session_id)
    .where(*_OF_PRINCIPAL, _TURNS.c.request_id == bindparam("request"))
    .limit(1)
)
_ADD_TURN = insert(_TURNS).values(alive_until=server_time(bindparam("lease_s", type_=Float)))
_LOST = (
    select(_TURNS.c.number)
    .where(
        _TURNS.c.session_id == bindparam("session"),
        _TURNS.c.finished_at.is_(None),
        or_(_TURNS.c.alive_until.is_(None), _TURNS.c.alive_until < server_time()),
    )
    .order_by(_TURNS.c.number)
)
_END = (
    update(_TURNS)
    .where(
        _TURNS.c.session_id == bindparam("of_session"),
        _TURNS.c.number == bindparam("of_number"),
        _TURNS.c.finished_at.is_(None),
    )
    .returning(_TURNS.c.number)
)
_SET_REFERENTS = (
    update(_SESSIONS)
    .where(_SESSIONS.c.id == bindparam("session"))
    .values(
        last_render_id=bindparam("render"),
        last_project_id=func.coalesce(bindparam("project"), _SESSIONS.c.last_project_id),
    )
)
_SET_DIALOGUE = (
    update(_SESSIONS)
    .where(_SESSIONS.c.id == bindparam("session"), _SESSIONS.c.turns == bindparam("number"))
    .values(dialogue=bindparam("new"))
)
_REPLACE_DIALOGUE = (
    update(_SESSIONS)
    .where(
        _SESSIONS.c.id == bindparam("session"), _SESSIONS.c.dialogue.is_not_distinct_from(bindparam("old"))
    )
    .values(dialogue=bindparam("new"))
    .returning(_SESSIONS.c.id)
)
_CLEAR_DIALOGUES = update(_SESSIONS).where(*_OF_PRINCIPAL).values(dialogue=None)


class SessionRepository(Repository[AgentSession]):
    async def begin(
        self, principal: Principal, session_id: str, title: str, now: datetime
    ) -> tuple[int, str | None, str | None, str | None, str | None] | None:
        """Begins a turn, and sets the title with the first one. Returns its number, the render and project
        that "it" refers to, the persona and the dialogue; None for an unknown session, or one of another
        principal.
        """
        values = {**_own_session(principal, session_id), "title_if_new": title, "now": now}
        if (row := (await self._session.execute(_BEGIN, values)).first()) is None:
            return None
        number, render_id, project_id, persona_id, dialogue = row
        return number, render_id, project_id, persona_id, dialogue

    async def turn_of_request(self, principal: Principal, request_id: str) -> tuple[str, int] | None:
        """Returns the session and number of the turn that this request has begun."""
        of = {"of_tenant": principal.tenant, "of_principal": principal.id}
        row = (await self._session.execute(_OF_REQUEST, {**of, "request": request_id})).first()
        return None if row is None else (str(row[0]), int(row[1]))

    async def list_lost(self, session_id: str) -> Sequence[int]:
        """Returns the numbers of turns whose lease has run out."""
        return (await self._session.scalars(_LOST, {"session": session_id})).all()

    async def add_turn(self, lease_s: float, **columns: Any) -> None:
        """Adds a turn that is alive for so long."""
        await self._session.execute(_ADD_TURN, {**columns, "lease_s": lease_s})

    async def end(self, session_id: str, number: int, **columns: Any) -> bool:
        """Ends a turn; returns False for one that has ended before."""
        of = {"of_session": session_id, "of_number": number}
        return await self._session.scalar(_END, {**of, **columns}) is not None

    async def set_referents(self, session_id: str, render_id: str | None, project_id: str | None) -> None:
        """Stores the referents of "it": this render or none, and this project or the one before."""
        values = {"session": session_id, "render": render_id, "project": project_id}
        await self._session.execute(_SET_REFERENTS, values)

    async def set_dialogue(self, session_id: str, number: int, dialogue: str | None) -> None:
        """Stores the state of the dialogue after a turn, unless a later turn has begun."""
        await self._session.execute(_SET_DIALOGUE, {"session": session_id, "number": number, "new": dialogue})

    async def replace_dialogue(self, session_id: str, old: str | None, new: str) -> bool:
        """Replaces the state of the dialogue; returns False when it is no longer `old`."""
        values = {"session": session_id, "old": old, "new": new}
        return await self._session.scalar(_REPLACE_DIALOGUE, values) is not None

    async def dialogue_of(self, session_id: str) -> str | None:
        """Returns the state of the dialogue of a session; None where there is none."""
        row = await self.find(session_id)
        return None if row is None else row.dialogue

    async def clear_dialogues(self, tenant: str, principal_id: str) -> None:
        """Removes the state of all dialogues of a principal."""
        await self._session.execute(_CLEAR_DIALOGUES, {"of_tenant": tenant, "of_principal": principal_id})

    async def require_own(self, principal: Principal, session_id: str) -> AgentSession:
        """Returns a session of this principal in this tenant; raises NotFound for those of others, too."""
        row = await self.find(session_id)
        if row is None or (row.tenant, row.principal_id) != (principal.tenant, principal.id):
            raise no_session(session_id)
        return row

    async def persona(self, principal: Principal, session_id: str) -> tuple[str | None] | None:
        """Returns the persona of a conversation, if it has one; None where `require_own` raises."""
        found = (await self._session.execute(_PERSONA, _own_session(principal, session_id))).first()
        return None if found is None else (found.persona_id,)

    async def turn(self, session_id: str, number: int) -> AgentTurn | None:
        return await self._session.get(AgentTurn, (session_id, number))

    async def of_principal(self, principal: Principal, limit: int) -> Sequence[AgentSession]:
        """Returns conversations, the latest first."""
        query = select(AgentSession).where(*_owned(principal.tenant, principal.id))
        return await self._all(query.order_by(AgentSession.updated_at.desc()).limit(limit))

    async def page(self, principal: Principal, request: PageRequest) -> Page[AgentSession]:
        """Returns conversations, the latest first."""
        scope, where = {"of": [principal.tenant, principal.id]}, _owned(principal.tenant, principal.id)
        return await select_page(self._session, AgentSession, LATEST_FIRST, request, where=where, scope=scope)

    async def all_of(self, tenant: str, principal_id: str) -> Sequence[AgentSession]:
        query = select(AgentSession).where(*_owned(tenant, principal_id))
        return await self._all(query)

    async def saying(self, tenant: str, principal_id: str, words: Collection[str]) -> Sequence[AgentTurn]:
        """Returns turns with one of these words in utterance or reply, in any case; without words, all."""
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
        return await self._all(query.order_by(AgentTurn.started_at))

    async def turns(self, session_id: str, limit: int) -> Sequence[AgentTurn]:
        """Returns the last `limit` turns, the oldest first."""
        query = select(AgentTurn).where(AgentTurn.session_id == session_id)
        rows = await self._session.scalars(query.order_by(AgentTurn.number.desc()).limit(limit))
        return list(reversed(rows.all()))


def _own_session(principal: Principal, session_id: str) -> dict[str, str]:
    return {"session": session_id, "of_tenant": principal.tenant, "of_principal": principal.id}


def _owned(tenant: str, principal_id: str) -> tuple[ColumnElement[bool], ...]:
    return (AgentSession.tenant == tenant, AgentSession.principal_id == principal_id)


def no_session(session_id: str) -> NotFound:
    return NotFound(
        "session.not_found", f"There is no session {session_id}.", hint="Leave it out to start one."
    )
