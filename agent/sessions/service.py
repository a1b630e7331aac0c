"""Opens, continues and stores conversations; called by the Brain and the chat routes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from agent.events import BrainEvent, Done, Failure, ToolCalled
from agent.forgetting.redaction import Redaction, Turn
from agent.forgetting.turns import matches, redact_turn
from agent.sessions.models import AgentSession
from agent.sessions.repository import SessionRepository, no_session
from agent.sessions.schemas import INTERRUPTED, SessionOut, TurnOut
from policy import Principal
from policy.audit import AuditEntry, AuditLog
from soundstage.database import Database, LocalLeases, enable_secure_delete, new_id, utcnow
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
"""A turn whose lease was not renewed for this long is lost."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session for the Brain. `debug` shows whole arguments, `local_files` allows paths, `dry_run` is for
    plans alone; `persona_id` limits the tools to those of that persona.
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
    """The present persona: a snapshot may have been loaded since the session was opened."""
    dialogue: str | None = None
    """The state of the dialogue before this turn, as JSON."""

    @property
    def stream(self) -> str:
        return stream_of(self.session_id, self.number)


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """The result of a turn."""

    reply: str = ""
    tool: str | None = None
    error_code: str | None = None
    render_id: str | None = None
    project_id: str | None = None
    dialogue: str | None = None
    """The state of the dialogue after it; None: as it was before."""


@dataclass(slots=True)
class _Running:
    """A turn that runs here, and the redactions of its owner since it began."""

    tenant: str
    principal_id: str
    redactions: list[Redaction] = field(default_factory=list)


def title_of(utterance: str) -> str:
    """Of a conversation that begins so."""
    return " ".join(utterance[: TITLE_CHARS * 2].split())[:TITLE_CHARS]


def stream_of(session_id: str, number: int) -> str:
    """Returns the event stream of one turn."""
    return f"turn:{session_id}:{number}"


@dataclass
class SessionService:
    """Each method is one short transaction, because an answer may take as long as a video takes."""

    database: Database
    events: EventStore
    audit: AuditLog
    _: KW_ONLY
    lease_s: float = LEASE_S
    _running: dict[Turn, _Running] = field(default_factory=dict, init=False)
    _leases: LocalLeases[Turn] = field(default_factory=LocalLeases, init=False)

    async def open(
        self,
        principal: Principal,
        session_id: str | None = None,
        *,
        debug: bool = False,
        local_files: bool = False,
        persona_id: str | None = None,
    ) -> Conversation:
        """Opens a new conversation, or an earlier one of the same principal."""
        if session_id is not None:
            async with self.database.session() as session:
                persona = await SessionRepository(session).persona(principal, session_id)
            if persona is None:
                raise no_session(session_id)
            return Conversation(session_id, principal, debug, local_files, *persona)
        opened, now = new_id("ses"), utcnow()
        async with self.database.transaction() as session:
            await SessionRepository(session).add(
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
        self,
        conversation: Conversation,
        utterance: str,
        request_id: str | None = None,
        *,
        source: str = "",
    ) -> OpenTurn:
        """Raises Conflict when this request has begun a turn already, in whichever process. `source`: what
        began it where that was no person.
        """
        utterance = storable(utterance)
        async with self.database.transaction() as session:
            repository = SessionRepository(session)
            now = utcnow()
            row = await repository.begin(conversation.principal, conversation.id, title_of(utterance), now)
            if row is None:
                raise no_session(conversation.id)
            if request_id is not None and await repository.turn_of_request(
                conversation.principal, request_id
            ):
                raise Conflict(
                    "turn.begun",
                    "This request is being answered already.",
                    "Send it again to get its answer.",
                )
            begun = OpenTurn(conversation.id, *row)
            lost = await self._list_lost(session, begun.session_id)
            await repository.add_turn(
                self.lease_s,
                session_id=begun.session_id,
                number=begun.number,
                utterance=utterance,
                reply="",
                trace_id=trace_id(),
                request_id=request_id,
                started_at=now,
            )
            entry = AuditEntry(
                kind=UTTERANCE,
                actor=conversation.principal.name,
                subject=f"{begun.session_id}:{begun.number}",
                session_id=begun.session_id,
                tenant=conversation.principal.tenant,
                data={"principal": conversation.principal.id, **({"source": source} if source else {})},
                redactable={"text": utterance},
            )
            await self.audit.record(session, entry)
        if lost:
            await self._close_lost_turns(begun.session_id)
        requester = conversation.principal
        self._running[begun.session_id, begun.number] = _Running(requester.tenant, requester.id)
        self._leases.renew((begun.session_id, begun.number), self.lease_s)
        return begun

    async def turn_of_request(self, principal: Principal, request_id: str) -> tuple[str, int] | None:
        """Returns the session and number of the turn that this request began, for a repeated request."""
        async with self.database.session() as session:
            return await SessionRepository(session).turn_of_request(principal, request_id)

    async def append_events(self, turn: OpenTurn, events: Sequence[BrainEvent], so_far: TurnEnd) -> None:
        """Writes the next events and the result so far, and renews the lease of the turn.

        Raises Conflict (`turn.given_up`) when the lease has run out and the turn was closed as lost.
        """
        async with self.database.transaction() as session:
            repository = SessionRepository(session)
            row = await repository.turn(turn.session_id, turn.number)
            if row is None or row.finished_at is not None:
                raise Conflict(
                    "turn.given_up",
                    "This answer was given up, because nothing was heard of it for too long.",
                    "Look what it has done before you ask again.",
                )
            row.alive_until = self._leases.renew((turn.session_id, turn.number), self.lease_s)
            row.reply, row.tool = storable(so_far.reply), so_far.tool
            await self._write(session, turn, events)
            await self._forget(session, turn)
            await self._set_referents(session, turn, so_far)

    async def end_turn(self, turn: OpenTurn, end: TurnEnd, new_events: Sequence[BrainEvent] = ()) -> None:
        try:
            async with self.database.transaction() as session:
                await self._end(session, turn, end, new_events)
                await self._forget(session, turn)
        finally:
            self._running.pop((turn.session_id, turn.number), None)
            self._leases.release((turn.session_id, turn.number))

    async def note_played(self, principal: Principal, session_id: str, number: int, words: str) -> None:
        """Notes at the reply of an interrupted turn how far the person heard it. Raises as `turn` does."""
        note = f"(Interrupted after: “{words}”)" if words else "(Interrupted before a word.)"
        await self.note(principal, session_id, number, note)

    async def note(self, principal: Principal, session_id: str, number: int, note: str) -> None:
        """Adds a line to the reply of a turn. Raises as `turn` does."""
        await self.turn(principal, session_id, number)
        async with self.database.transaction() as session:
            row = await SessionRepository(session).turn(session_id, number)
            if row is not None:
                row.reply = storable(f"{row.reply}\n{note}".strip())

    async def dialogue(self, principal: Principal, session_id: str) -> str | None:
        """Returns the state of the dialogue after the last turn, as JSON. Raises `session.not_found`."""
        async with self.database.session() as session:
            return (await SessionRepository(session).require_own(principal, session_id)).dialogue

    async def redeem_question(self, turn: OpenTurn, dialogue: str) -> bool:
        """Stores a dialogue without the question that this turn answers; returns False when another turn has
        changed the dialogue meanwhile, and maybe answered it.
        """
        return turn.dialogue is not None and await self.replace_dialogue(turn, dialogue)

    async def replace_dialogue(self, turn: OpenTurn, dialogue: str) -> bool:
        """Stores a dialogue while a turn runs; returns False when another turn has changed it meanwhile."""
        async with self.database.transaction() as session:
            repository = SessionRepository(session)
            return await repository.replace_dialogue(turn.session_id, turn.dialogue, dialogue)

    def redact(self, redaction: Redaction) -> None:
        """Redacts running turns of the owner as well: their next events are stored without these texts."""
        for running in self._running.values():
            if (running.tenant, running.principal_id) == (redaction.tenant, redaction.subject):
                running.redactions.append(redaction)

    async def list(self, principal: Principal, limit: int = 50) -> Sequence[SessionOut]:
        async with self.database.session() as session:
            rows = await SessionRepository(session).of_principal(principal, limit)
            return [SessionOut.model_validate(row) for row in rows]

    async def find_page(self, principal: Principal, request: PageRequest) -> Page[SessionOut]:
        """Returns a page of the principal's own, the latest first."""
        async with self.database.session() as session:
            page = await SessionRepository(session).page(principal, request)
            return page.of([SessionOut.model_validate(row) for row in page.items])

    async def is_of_tenant(self, principal: Principal, session_id: str) -> bool:
        """Returns whether the conversation is in the tenant of this principal."""
        async with self.database.session() as session:
            row = await SessionRepository(session).find(session_id)
        return row is not None and row.tenant == principal.tenant

    async def turns(self, principal: Principal, session_id: str, limit: int = 100) -> Sequence[TurnOut]:
        await self._close_lost_turns(session_id)
        async with self.database.session() as session:
            repository = SessionRepository(session)
            await repository.require_own(principal, session_id)
            return [TurnOut.model_validate(row) for row in await repository.turns(session_id, limit)]

    async def turn(self, principal: Principal, session_id: str, number: int) -> TurnOut:
        """Returns the present state of one turn."""
        await self._close_lost_turns(session_id)
        async with self.database.session() as session:
            repository = SessionRepository(session)
            await repository.require_own(principal, session_id)
            row = await repository.turn(session_id, number)
            if row is None:
                raise NotFound(
                    "session.no_such_turn",
                    f"The session {session_id} has no turn {number}.",
                    "Ask for its turns to see which there are.",
                )
            return TurnOut.model_validate(row)

    async def _end(
        self, session: AsyncSession, turn: OpenTurn, end: TurnEnd, new_events: Sequence[BrainEvent]
    ) -> None:
        if await SessionRepository(session).end(
            turn.session_id,
            turn.number,
            reply=storable(end.reply),
            tool=end.tool,
            error_code=end.error_code,
            finished_at=utcnow(),
        ):
            await self._write(session, turn, new_events)
        await self._set_referents(session, turn, end)
        if end.dialogue is not None:
            dialogue = None if self._to_forget(turn) else storable(end.dialogue)
            await SessionRepository(session).set_dialogue(turn.session_id, turn.number, dialogue)

    async def _set_referents(self, session: AsyncSession, turn: OpenTurn, end: TurnEnd) -> None:
        """Stores the referents of "it": a video, or a project that was mentioned after it."""
        if end.render_id is not None or end.project_id is not None:
            await SessionRepository(session).set_referents(turn.session_id, end.render_id, end.project_id)

    async def _write(self, session: AsyncSession, turn: OpenTurn, new_events: Sequence[BrainEvent]) -> None:
        events = [(event.type, event.model_dump(mode="json", exclude_none=True)) for event in new_events]
        await self.events.append_all(session, turn.stream, events)

    def _to_forget(self, turn: OpenTurn) -> Sequence[Redaction]:
        running = self._running.get((turn.session_id, turn.number))
        return () if running is None else running.redactions

    async def _forget(self, session: AsyncSession, turn: OpenTurn) -> None:
        """Redacts what was just written: “I have forgotten …” is shown and not stored."""
        if not (to_forget := self._to_forget(turn)):
            return
        row = await SessionRepository(session).turn(turn.session_id, turn.number)
        for redaction in to_forget:
            await enable_secure_delete(session)
            if row is not None and matches(row, redaction):
                await redact_turn(session, self.events, turn.stream, row, redaction)

    async def _close_lost_turns(self, session_id: str) -> None:
        """Closes lost turns before a read. Almost always there are none, and no write."""
        async with self.database.session() as session:
            if not await self._list_lost(session, session_id):
                return
        async with self.database.transaction() as session:
            await self._write_lost(session, session_id)

    async def _list_lost(self, session: AsyncSession, session_id: str) -> Sequence[int]:
        """Returns the numbers of turns whose process is gone."""
        lost = await SessionRepository(session).list_lost(session_id)
        return [number for number in lost if self._leases.has_ended((session_id, number)) is not False]

    async def _write_lost(self, session: AsyncSession, session_id: str) -> None:
        """Ends turns whose process is gone, with an error. Nothing is retried."""
        repository = SessionRepository(session)
        for number in await self._list_lost(session, session_id):
            row = await repository.turn(session_id, number)
            if row is None:
                continue
            turn = OpenTurn(row.session_id, row.number, None)
            past = await self.events.read(turn.stream)
            tool_began = any(event.kind == ToolCalled.model_fields["type"].default for event in past)
            failure = _lost(tool_began, row.utterance)
            if tool_began and _has_plan(await repository.dialogue_of(session_id), number):
                failure = failure.model_copy(update={"hint": f"{failure.hint} “Go on” shows what is left."})
            await self._write(session, turn, [failure, Done(session_id=row.session_id, turn=row.number)])
            row.reply = f"{row.reply}\n{failure.message}".strip()
            row.error_code, row.finished_at = failure.code, utcnow()


def _has_plan(dialogue: str | None, number: int) -> bool:
    """Returns whether a state of the dialogue holds the plan of this turn."""
    plan = json.loads(dialogue).get("plan") if dialogue else None
    return plan is not None and plan["turn"] == number


def _lost(tool_began: bool, utterance: str) -> Failure:
    brief = len(utterance) <= QUOTED_CHARS and utterance.isprintable()
    return Failure(
        code=INTERRUPTED,
        message="The server stopped in the middle of this answer.",
        hint="A tool had begun: look whether its effect is there before you ask again."
        if tool_began
        else f"Nothing had been begun: ask {f'“{utterance}” ' if brief else ''}again.",
    )
