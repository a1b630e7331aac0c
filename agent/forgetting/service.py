"""Takes forgotten words out of all that was written down; called by the memory, in its transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from agent.approvals.service import ApprovalService
from agent.forgetting.turns import forget_in_turn, says, was_told
from agent.forgetting.words import Forgotten
from agent.live.timeline import stream_of as live_stream
from agent.sessions.models import AgentTurn
from agent.sessions.repository import SessionRepository
from agent.sessions.service import UTTERANCE, SessionService, stream_of, title_of
from agent.snapshots.repository import Snapshots
from policy.audit import AuditEntry, AuditLog
from policy.audit.words import FORGOTTEN
from soundstage.events import Event, EventStore


class Forgetting:
    """Conversations, their events, snapshots, approvals, and what the audit log has beside its lines.

    What somebody made of the words stays: videos, scripts and projects are no memories.
    """

    def __init__(
        self, sessions: SessionService, approvals: ApprovalService, events: EventStore, audit: AuditLog
    ) -> None:
        self._sessions = sessions
        self._approvals = approvals
        self._events = events
        self._audit = audit

    async def forget(self, session: AsyncSession, forgotten: Forgotten) -> None:
        """All of one owner's; what somebody else has said stays as it was said."""
        await self._approvals.forget(session, forgotten)
        self._sessions.forget(forgotten)
        found = await self._turns(session, forgotten)
        said = [row for row in found if was_told(row, forgotten) or forgotten.says(row.utterance)]
        titles = {title_of(row.utterance) for row in said}
        moments = {row.started_at.isoformat() for row in said}
        spoken = [f"{row.session_id}:{row.number}" for row in said]
        for row in found:
            await forget_in_turn(session, self._events, stream_of(row.session_id, row.number), row, forgotten)
        await self._told(session, forgotten)
        await self._titles(session, forgotten, titles)
        await self._snapshots(session, forgotten, titles, moments)
        line = AuditEntry(kind="", actor=forgotten.subject, subject="memory", tenant=forgotten.tenant)
        await self._audit.forget_words(session, UTTERANCE, spoken, line)

    async def _turns(self, session: AsyncSession, forgotten: Forgotten) -> list[AgentTurn]:
        owner = forgotten.tenant, forgotten.subject
        repository = SessionRepository(session)
        rows = {(row.session_id, row.number): row for row in await repository.saying(*owner, forgotten.hints)}
        for key in forgotten.told_in - rows.keys():
            if (row := await repository.turn(*key)) is not None:
                rows[key] = row
        return [row for row in rows.values() if says(row, forgotten)]

    async def _told(self, session: AsyncSession, forgotten: Forgotten) -> None:
        """What tools were given or gave stands in events of turns whose own words say nothing of it."""

        def change(event: Event) -> Mapping[str, Any]:
            changed: Mapping[str, Any] = forgotten.without(event.data)
            return changed

        streams: list[str] = []
        for row in await SessionRepository(session).all_of(forgotten.tenant, forgotten.subject):
            streams += [live_stream(row.id), *(stream_of(row.id, number + 1) for number in range(row.turns))]
        await self._events.rewrite(session, streams, change, forgotten.hints)

    async def _titles(self, session: AsyncSession, forgotten: Forgotten, titles: set[str]) -> None:
        """A title is the beginning of the first utterance."""
        for row in await SessionRepository(session).all_of(forgotten.tenant, forgotten.subject):
            if row.title in titles or forgotten.says(row.title):
                row.title = FORGOTTEN

    async def _snapshots(
        self, session: AsyncSession, forgotten: Forgotten, titles: set[str], moments: set[str]
    ) -> None:
        """What they hold of a turn is cut, so turns are known by the moment when they began, too."""

        def turn(kept: dict[str, Any]) -> dict[str, Any]:
            if kept["started_at"].replace("Z", "+00:00") in moments and kept["utterance"] != FORGOTTEN:
                kept = {**kept, "utterance": FORGOTTEN, "reply": FORGOTTEN if kept["reply"] else ""}
            changed: dict[str, Any] = forgotten.without(kept)
            return changed

        snapshots = Snapshots(session)
        for row in await snapshots.of_owner(forgotten.tenant, forgotten.subject):
            title = row.state["title"]
            state = {**row.state, "turns": [turn(kept) for kept in row.state["turns"]]}
            row.state = {**state, "title": FORGOTTEN if title in titles else forgotten.without(title)}
        for going_on in await snapshots.continuations(forgotten.tenant, forgotten.subject):
            going_on.turns = [turn(kept) for kept in going_on.turns]
