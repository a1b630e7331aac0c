"""Opens, continues and remembers conversations; called by the Brain and the chat routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.sessions.models import AgentSession, AgentTurn
from agent.sessions.repository import SessionRepository
from agent.sessions.schemas import SessionOut, TurnOut
from policy import Principal
from soundstage.database import Database, new_id, utcnow
from soundstage.errors import NotFound
from soundstage.telemetry import trace_id

TITLE_CHARS = 80


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session as the Brain sees it. `debug` shows whole arguments, `local_files` allows paths."""

    id: str
    principal: Principal
    debug: bool = False
    local_files: bool = False


@dataclass(frozen=True, slots=True)
class OpenTurn:
    session_id: str
    number: int
    last_render_id: str | None


class SessionService:
    """Each verb is one short transaction, because an answer may take as long as a video takes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(
        self,
        principal: Principal,
        session_id: str | None = None,
        *,
        debug: bool = False,
        local_files: bool = False,
    ) -> Conversation:
        """A new conversation, or an earlier one of the same principal."""
        async with self._database.transaction() as session:
            repository = SessionRepository(session)
            if session_id is not None:
                return Conversation(
                    (await self._own(repository, principal, session_id)).id, principal, debug, local_files
                )
            now = utcnow()
            row = AgentSession(
                id=new_id("ses"), principal_id=principal.id, title="", turns=0, created_at=now, updated_at=now
            )
            repository.add(row)
            return Conversation(row.id, principal, debug, local_files)

    async def begin_turn(self, conversation: Conversation, utterance: str) -> OpenTurn:
        async with self._database.transaction() as session:
            repository = SessionRepository(session)
            row = await self._own(repository, conversation.principal, conversation.id)
            now = utcnow()
            row.turns += 1
            row.updated_at = now
            row.title = row.title or " ".join(utterance[: TITLE_CHARS * 2].split())[:TITLE_CHARS]
            repository.add(
                AgentTurn(
                    session_id=row.id,
                    number=row.turns,
                    utterance=utterance,
                    trace_id=trace_id(),
                    started_at=now,
                )
            )
            return OpenTurn(row.id, row.turns, row.last_render_id)

    async def end_turn(
        self,
        turn: OpenTurn,
        *,
        reply: str,
        tool: str | None = None,
        error_code: str | None = None,
        render_id: str | None = None,
    ) -> None:
        async with self._database.transaction() as session:
            repository = SessionRepository(session)
            row = await repository.turn(turn.session_id, turn.number)
            if row is not None:
                row.reply, row.tool, row.error_code, row.finished_at = reply, tool, error_code, utcnow()
            owner = await repository.get(turn.session_id)
            if owner is not None and render_id is not None:
                owner.last_render_id = render_id

    async def list(self, principal: Principal, limit: int = 50) -> Sequence[SessionOut]:
        async with self._database.session() as session:
            rows = await SessionRepository(session).of_principal(principal.id, limit)
            return [SessionOut.model_validate(row) for row in rows]

    async def turns(self, principal: Principal, session_id: str, limit: int = 100) -> Sequence[TurnOut]:
        async with self._database.session() as session:
            repository = SessionRepository(session)
            await self._own(repository, principal, session_id)
            return [TurnOut.model_validate(row) for row in await repository.turns(session_id, limit)]

    async def _own(
        self, repository: SessionRepository, principal: Principal, session_id: str
    ) -> AgentSession:
        """Somebody else's session does not exist for the asker."""
        row = await repository.get(session_id)
        if row is None or row.principal_id != principal.id:
            raise NotFound(
                "session.not_found", f"There is no session {session_id}.", hint="Leave it out to start one."
            )
        return row
