"""Redacts forgotten texts in everything that is stored; called by the memory, in its transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from agent.approvals.service import ApprovalService
from agent.forgetting.redaction import Redaction
from agent.forgetting.turns import is_source, matches, redact_turn
from agent.live.timeline import stream_of as live_stream
from agent.sessions.models import AgentTurn
from agent.sessions.repository import SessionRepository
from agent.sessions.service import UTTERANCE, SessionService, stream_of, title_of
from agent.snapshots.repository import Snapshots
from agent.triggers.service import TriggerService
from policy.audit import AuditEntry, AuditLog
from policy.audit.redactable import FORGOTTEN
from soundstage.events import EventStore


@dataclass
class Redactor:
    """Redacts conversations, their events, snapshots, approvals, triggers, and texts beside the audit log.

    Videos, scripts and projects stay as they are: they are no memories.
    """

    sessions: SessionService
    approvals: ApprovalService
    triggers: TriggerService
    events: EventStore
    audit: AuditLog

    async def redact(self, session: AsyncSession, redaction: Redaction) -> None:
        """Redacts everything of one owner. Texts of others stay."""
        await self.approvals.redact(session, redaction)
        await self.triggers.redact(session, redaction)
        self.sessions.redact(redaction)
        # Its calls and questions may hold the text in other words.
        await SessionRepository(session).clear_dialogues(redaction.tenant, redaction.subject)
        found = await self._turns(session, redaction)
        redacted = [row for row in found if is_source(row, redaction) or redaction.matches(row.utterance)]
        titles = {title_of(row.utterance) for row in redacted}
        start_times = {row.started_at.isoformat() for row in redacted}
        subjects = [f"{row.session_id}:{row.number}" for row in redacted]
        for row in found:
            await redact_turn(session, self.events, stream_of(row.session_id, row.number), row, redaction)
        await self._redact_tool_events(session, redaction)
        await self._titles(session, redaction, titles)
        await self._snapshots(session, redaction, titles, start_times)
        line = AuditEntry(kind="", actor=redaction.subject, subject="memory", tenant=redaction.tenant)
        await self.audit.redact(session, UTTERANCE, subjects, line)

    async def _turns(self, session: AsyncSession, redaction: Redaction) -> list[AgentTurn]:
        owner = redaction.tenant, redaction.subject
        repository = SessionRepository(session)
        rows = {
            (row.session_id, row.number): row for row in await repository.saying(*owner, redaction.prefilter)
        }
        for key in redaction.source_turns - rows.keys():
            if (row := await repository.turn(*key)) is not None:
                rows[key] = row
        return [row for row in rows.values() if matches(row, redaction)]

    async def _redact_tool_events(self, session: AsyncSession, redaction: Redaction) -> None:
        """Redacts arguments and results of tools, in the events of turns whose own text may not match."""
        streams: list[str] = []
        for row in await SessionRepository(session).all_of(redaction.tenant, redaction.subject):
            streams += [live_stream(row.id), *(stream_of(row.id, number + 1) for number in range(row.turns))]
        await self.events.rewrite(
            session, streams, lambda event: redaction.redact(event.data), redaction.prefilter
        )

    async def _titles(self, session: AsyncSession, redaction: Redaction, titles: set[str]) -> None:
        """Redacts titles, which begin as the first utterance does."""
        for row in await SessionRepository(session).all_of(redaction.tenant, redaction.subject):
            if row.title in titles or redaction.matches(row.title):
                row.title = FORGOTTEN

    async def _snapshots(
        self, session: AsyncSession, redaction: Redaction, titles: set[str], start_times: set[str]
    ) -> None:
        """Redacts snapshots. Their copies of turns are cut, so the start time identifies a turn, too."""

        def turn(copy: dict[str, Any]) -> dict[str, Any]:
            if copy["started_at"].replace("Z", "+00:00") in start_times and copy["utterance"] != FORGOTTEN:
                copy = {**copy, "utterance": FORGOTTEN, "reply": FORGOTTEN if copy["reply"] else ""}
            return redaction.redact(copy)

        snapshots = Snapshots(session)
        for row in await snapshots.of_owner(redaction.tenant, redaction.subject):
            title = row.state["title"]
            state = {**row.state, "turns": [turn(copy) for copy in row.state["turns"]]}
            row.state = {**state, "title": FORGOTTEN if title in titles else redaction.redact(title)}
        for continuation in await snapshots.continuations(redaction.tenant, redaction.subject):
            continuation.turns = [turn(copy) for copy in continuation.turns]
