"""Opens, continues and remembers conversations; called by the Brain and the chat routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from agent.events import BrainEvent, Done, Failure, ToolCalled
from agent.forgetting.turns import forget_in_turn, says
from agent.forgetting.words import Forgotten, Turn
from agent.sessions.models import AgentSession
from agent.sessions.repository import SessionRepository
from agent.sessions.schemas import INTERRUPTED, SessionOut, TurnOut
from policy import Principal
from policy.audit import AuditEntry, AuditLog
from soundstage.database import Database, new_id, overwriting, utcnow
from soundstage.database.storable import storable
from soundstage.errors import Conflict, NotFound
from soundstage.events import EventStore
from soundstage.paging import Page, PageRequest
from soundstage.telemetry import trace_id

UTTERANCE = "utterance.said"
"""The line of the audit log that has what was said beside it; its subject is `session:turn`."""
TITLE_CHARS = 80
QUOTED_CHARS = 200
LEASE_S = 10.0
"""A turn whose process has not been heard of for this long is lost."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session as the Brain sees it. `debug` shows whole arguments, `local_files` allows paths, `dry_run` is
    for plans alone; with `persona_id` only the tools of that persona are there.
    """

    id: str
    principal: Principal
    debug: bool = False
    local_files: bool = False
    persona_id: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class OpenTurn:
    session_id: str
    number: int
    last_render_id: str | None
    last_project_id: str | None = None
    persona_id: str | None = None
    """With which the conversation is held now: a snapshot may have been loaded since it was opened."""

    @property
    def stream(self) -> str:
        return stream_of(self.session_id, self.number)


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """What a turn came to."""

    reply: str = ""
    tool: str | None = None
    error_code: str | None = None
    render_id: str | None = None
    project_id: str | None = None


@dataclass(slots=True)
class _Running:
    """A turn that is being answered here, and what its owner wants forgotten since it began."""

    tenant: str
    principal_id: str
    forgotten: list[Forgotten] = field(default_factory=list)


def title_of(utterance: str) -> str:
    """Of a conversation that begins so."""
    return " ".join(utterance[: TITLE_CHARS * 2].split())[:TITLE_CHARS]


def stream_of(session_id: str, number: int) -> str:
    """The event stream that holds what one turn has told."""
    return f"turn:{session_id}:{number}"


class SessionService:
    """Each verb is one short transaction, because an answer may take as long as a video takes."""

    def __init__(
        self,
        database: Database,
        events: EventStore,
        audit: AuditLog | None = None,
        *,
        lease_s: float = LEASE_S,
    ) -> None:
        self._database = database
        self._events = events
        self._audit = audit
        self.lease_s = lease_s
        self._running: dict[Turn, _Running] = {}

    @property
    def crowded(self) -> bool:
        """Whether what can wait should not be written now."""
        return self._database.crowded

    async def open(
        self,
        principal: Principal,
        session_id: str | None = None,
        *,
        debug: bool = False,
        local_files: bool = False,
        persona_id: str | None = None,
    ) -> Conversation:
        """A new conversation, with a persona where one is named, or an earlier one of the same principal."""
        if session_id is not None:
            async with self._database.session() as session:
                persona = await SessionRepository(session).persona(principal, session_id)
            if persona is None:
                raise _no_session(session_id)
            return Conversation(session_id, principal, debug, local_files, *persona)
        opened, now = new_id("ses"), utcnow()
        async with self._database.transaction() as session:
            SessionRepository(session).add(
                AgentSession(
                    id=opened,
                    tenant=principal.tenant,
                    principal_id=principal.id,
                    persona_id=persona_id,
                    title="",
                    created_at=now,
                    updated_at=now,
                )
            )
        return Conversation(opened, principal, debug, local_files, persona_id)

    async def begin_turn(
        self, conversation: Conversation, utterance: str, request_id: str | None = None
    ) -> OpenTurn:
        """Raises Conflict when this request has begun a turn already, in whichever process."""
        utterance = storable(utterance)
        async with self._database.transaction() as session:
            repository = SessionRepository(session)
            now = utcnow()
            row = await repository.begin(conversation.principal, conversation.id, title_of(utterance), now)
            if row is None:
                raise _no_session(conversation.id)
            if request_id is not None and await repository.turn_of_request(
                conversation.principal, request_id
            ):
                raise Conflict(
                    "turn.begun",
                    "This request is being answered already.",
                    "Send it again to get its answer.",
                )
            begun = OpenTurn(conversation.id, *row)
            lost = await repository.lost(begun.session_id, now)
            await repository.add_turn(
                session_id=begun.session_id,
                number=begun.number,
                utterance=utterance,
                reply="",
                trace_id=trace_id(),
                request_id=request_id,
                started_at=now,
                alive_until=now + timedelta(seconds=self.lease_s),
            )
            if self._audit is not None:
                said = AuditEntry(
                    kind=UTTERANCE,
                    actor=conversation.principal.name,
                    subject=f"{begun.session_id}:{begun.number}",
                    session_id=begun.session_id,
                    tenant=conversation.principal.tenant,
                    data={"principal": conversation.principal.id},
                    words={"text": utterance},
                )
                await self._audit.record(session, said)
        if lost:
            await self._settle(begun.session_id)
        asker = conversation.principal
        self._running[begun.session_id, begun.number] = _Running(asker.tenant, asker.id)
        return begun

    async def turn_of_request(self, principal: Principal, request_id: str) -> tuple[str, int] | None:
        """The session and number of the turn that this request began, when it comes a second time."""
        async with self._database.session() as session:
            return await SessionRepository(session).turn_of_request(principal, request_id)

    async def append_events(self, turn: OpenTurn, events: Sequence[BrainEvent], so_far: TurnEnd) -> None:
        """Writes the next events and the result so far, and renews the lease of the turn.

        Raises Conflict (`turn.given_up`) when the lease has run out and the turn was closed as lost.
        """
        async with self._database.transaction() as session:
            repository = SessionRepository(session)
            row = await repository.turn(turn.session_id, turn.number)
            if row is None or row.finished_at is not None:
                raise Conflict(
                    "turn.given_up",
                    "This answer was given up, because nothing was heard of it for too long.",
                    "Look what it has done before you ask again.",
                )
            row.alive_until = utcnow() + timedelta(seconds=self.lease_s)
            row.reply, row.tool = storable(so_far.reply), so_far.tool
            await self._write(session, turn, events)
            await self._forget(session, turn)
            await self._note_it(session, turn, so_far)

    async def end_turn(self, turn: OpenTurn, end: TurnEnd, told: Sequence[BrainEvent] = ()) -> None:
        try:
            async with self._database.transaction() as session:
                await self._end(session, turn, end, told)
                await self._forget(session, turn)
        finally:
            self._running.pop((turn.session_id, turn.number), None)

    def forget(self, forgotten: Forgotten) -> None:
        """What is being answered to its owner at this moment is written down without these words, too."""
        for running in self._running.values():
            if (running.tenant, running.principal_id) == (forgotten.tenant, forgotten.subject):
                running.forgotten.append(forgotten)

    async def list(self, principal: Principal, limit: int = 50) -> Sequence[SessionOut]:
        async with self._database.session() as session:
            rows = await SessionRepository(session).of_principal(principal, limit)
            return [SessionOut.model_validate(row) for row in rows]

    async def find_page(self, principal: Principal, request: PageRequest) -> Page[SessionOut]:
        """One's own, the last talked in first."""
        async with self._database.session() as session:
            page = await SessionRepository(session).page(principal, request)
            return page.of([SessionOut.model_validate(row) for row in page.items])

    async def is_of_tenant(self, principal: Principal, session_id: str) -> bool:
        """Whether it is a conversation of anybody in the tenant of this principal."""
        async with self._database.session() as session:
            row = await SessionRepository(session).get(session_id)
        return row is not None and row.tenant == principal.tenant

    async def turns(self, principal: Principal, session_id: str, limit: int = 100) -> Sequence[TurnOut]:
        await self._settle(session_id)
        async with self._database.session() as session:
            repository = SessionRepository(session)
            await self._own(repository, principal, session_id)
            return [TurnOut.model_validate(row) for row in await repository.turns(session_id, limit)]

    async def turn(self, principal: Principal, session_id: str, number: int) -> TurnOut:
        """One turn as it stands now."""
        await self._settle(session_id)
        async with self._database.session() as session:
            repository = SessionRepository(session)
            await self._own(repository, principal, session_id)
            row = await repository.turn(session_id, number)
            if row is None:
                raise NotFound(
                    "session.no_such_turn",
                    f"The session {session_id} has no turn {number}.",
                    "Ask for its turns to see which there are.",
                )
            return TurnOut.model_validate(row)

    async def _end(
        self, session: AsyncSession, turn: OpenTurn, end: TurnEnd, told: Sequence[BrainEvent]
    ) -> None:
        if await SessionRepository(session).end(
            turn.session_id,
            turn.number,
            reply=storable(end.reply),
            tool=end.tool,
            error_code=end.error_code,
            finished_at=utcnow(),
        ):
            await self._write(session, turn, told)
        await self._note_it(session, turn, end)

    async def _note_it(self, session: AsyncSession, turn: OpenTurn, end: TurnEnd) -> None:
        """What "it" means from now on: a video, or a project when no video was spoken of after it."""
        if end.render_id is not None or end.project_id is not None:
            await SessionRepository(session).note(turn.session_id, end.render_id, end.project_id)

    async def _write(self, session: AsyncSession, turn: OpenTurn, told: Sequence[BrainEvent]) -> None:
        events = [(event.type, event.model_dump(mode="json", exclude_none=True)) for event in told]
        await self._events.append_all(session, turn.stream, events)

    def _to_forget(self, turn: OpenTurn) -> Sequence[Forgotten]:
        running = self._running.get((turn.session_id, turn.number))
        return () if running is None else running.forgotten

    async def _forget(self, session: AsyncSession, turn: OpenTurn) -> None:
        """“I have forgotten …” is told and not kept."""
        if not (to_forget := self._to_forget(turn)):
            return
        row = await SessionRepository(session).turn(turn.session_id, turn.number)
        for forgotten in to_forget:
            await overwriting(session)
            if row is not None and says(row, forgotten):
                await forget_in_turn(session, self._events, turn.stream, row, forgotten)

    async def _settle(self, session_id: str) -> None:
        """Whoever asks for a lost turn finds it ended. Almost always there is none, and no write."""
        async with self._database.session() as session:
            if not await SessionRepository(session).lost(session_id, utcnow()):
                return
        async with self._database.transaction() as session:
            await self._close_lost(session, session_id)

    async def _close_lost(self, session: AsyncSession, session_id: str) -> None:
        """Ends turns whose process is gone, and says so in them. Nothing is tried again."""
        repository = SessionRepository(session)
        for number in await repository.lost(session_id, utcnow()):
            row = await repository.turn(session_id, number)
            if row is None:
                continue
            turn = OpenTurn(row.session_id, row.number, None)
            told = await self._events.read(turn.stream)
            began_a_tool = any(event.kind == ToolCalled.model_fields["type"].default for event in told)
            failure = _lost(began_a_tool, row.utterance)
            await self._write(session, turn, [failure, Done(session_id=row.session_id, turn=row.number)])
            row.reply = f"{row.reply}\n{failure.message}".strip()
            row.error_code, row.finished_at = failure.code, utcnow()

    async def _own(
        self, repository: SessionRepository, principal: Principal, session_id: str
    ) -> AgentSession:
        """Somebody else's session does not exist for the asker."""
        row = await repository.own(principal, session_id)
        if row is None:
            raise _no_session(session_id)
        return row


def _no_session(session_id: str) -> NotFound:
    return NotFound(
        "session.not_found", f"There is no session {session_id}.", hint="Leave it out to start one."
    )


def _lost(began_a_tool: bool, utterance: str) -> Failure:
    brief = len(utterance) <= QUOTED_CHARS and utterance.isprintable()
    return Failure(
        code=INTERRUPTED,
        message="The server stopped in the middle of this answer.",
        hint="A tool had begun: look whether its effect is there before you ask again."
        if began_a_tool
        else f"Nothing had been begun: ask {f'“{utterance}” ' if brief else ''}again.",
    )
