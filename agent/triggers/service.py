"""Sets, shows, cancels, claims and ends triggers; called by the tool `triggers` and by the worker."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rapidfuzz import fuzz, process
from sqlalchemy.ext.asyncio import AsyncSession

from agent.forgetting.redaction import Redaction
from agent.triggers.models import Trigger
from agent.triggers.repository import Triggers
from agent.triggers.schemas import PREVIOUS, StoredCall, TriggerOut, When
from agent.triggers.states import TriggerState, move
from policy import Principal
from policy.audit.redactable import FORGOTTEN
from soundstage.database import Database, new_id, utcnow
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.events import EventStore
from soundstage.telemetry.masking import mask_text

if TYPE_CHECKING:
    from agent.tools.toolset import Toolset

MOST_OPEN = 100
RESULT_CHARS = 1000
CLAIM_FOR = timedelta(seconds=60)
"""After so long without a result, another process looks what became of a claim."""
LATE = timedelta(hours=1)
"""A time that nobody watched is made up for by at most so much."""
LIKE_WORD = 85.0
TELLING_CHARS = 4


@dataclass(frozen=True, slots=True)
class Draft:
    """A trigger to be set."""

    condition: When
    calls: Sequence[StoredCall]
    text: str


@dataclass
class TriggerService:
    """Each method is one short transaction. `toolset`: what calls are checked against when they are set."""

    database: Database
    events: EventStore
    toolset: Toolset
    _: KW_ONLY
    clock: Callable[[], datetime] = utcnow
    wake: Callable[[], None] = field(default=lambda: None)
    """Called after a change; the worker sets it."""

    async def create(
        self, principal: Principal, session_id: str, drafts: Sequence[Draft]
    ) -> list[TriggerOut]:
        """Sets triggers. One that waits for `previous` waits for the result of the one before it."""
        now = self.clock()
        async with self.database.transaction() as session:
            triggers = Triggers(session)
            times = await _times(triggers, principal, drafts, now)
            rows: list[Trigger] = []
            for draft, fires_at in zip(drafts, times, strict=True):
                condition = draft.condition
                row = Trigger(
                    id=new_id("trg"),
                    owner=principal,
                    session_id=session_id,
                    after_id=rows[-1].id if condition.name == PREVIOUS and rows else None,
                    text=draft.text,
                    condition=condition.model_dump(mode="json", exclude_defaults=True),
                    calls=[call.model_dump(mode="json") for call in draft.calls],
                    state=TriggerState.WAITING,
                    created_at=now,
                    fires_at=fires_at,
                )
                rows.append(await triggers.add(row))
                await self._append(session, row, "trigger.created")
            created = [TriggerOut.model_validate(row) for row in rows]
        self.wake()
        return created

    async def times(self, principal: Principal, drafts: Sequence[Draft]) -> list[datetime | None]:
        """Returns when each would fire first; None for an event. Raises what `create` would."""
        async with self.database.session() as session:
            return await _times(Triggers(session), principal, drafts, self.clock())

    async def find_named(self, principal: Principal, reference: str) -> list[TriggerOut]:
        """Returns those that `cancel` would cancel."""
        async with self.database.session() as session:
            rows = _named(await Triggers(session).find_open(principal.tenant, principal.id), reference)
            return [TriggerOut.model_validate(row) for row in rows]

    async def find(self, principal: Principal, *, ended: bool = False) -> list[TriggerOut]:
        """Returns the principal's own that wait, numbered in this order; with `ended`, the others."""
        async with self.database.session() as session:
            triggers = Triggers(session)
            query = triggers.find_ended if ended else triggers.find_open
            return [TriggerOut.model_validate(row) for row in await query(principal.tenant, principal.id)]

    async def cancel(self, principal: Principal, reference: str) -> list[TriggerOut]:
        """Cancels the triggers that a reference names: ids, a number of the list, `latest`, `all`, or
        words of one. Raises `trigger.not_found` and `trigger.several`.
        """
        async with self.database.transaction() as session:
            triggers = Triggers(session)
            rows = _named(await triggers.find_open(principal.tenant, principal.id), reference)
            for row in rows:
                await self._end(session, row, TriggerState.CANCELLED, "cancelled")
            return [TriggerOut.model_validate(row) for row in rows]

    async def cancel_one(self, principal: Principal, trigger_id: str) -> TriggerOut:
        """Cancels the trigger with that id. Raises `trigger.not_found`."""
        async with self.database.transaction() as session:
            rows = await Triggers(session).find_open(principal.tenant, principal.id)
            row = next((one for one in rows if one.id == trigger_id), None)
            if row is None:
                raise _no_trigger(trigger_id)
            await self._end(session, row, TriggerState.CANCELLED, "cancelled")
            return TriggerOut.model_validate(row)

    async def due(self, other_than: Collection[str], limit: int) -> Sequence[str]:
        """Returns the ids of triggers to fire or to recover."""
        async with self.database.session() as session:
            return await Triggers(session).due(self.clock(), other_than, limit)

    async def waiting_for_events(self) -> Sequence[Trigger]:
        async with self.database.session() as session:
            return await Triggers(session).waiting_for_events()

    async def get(self, trigger_id: str) -> Trigger | None:
        async with self.database.session() as session:
            return await Triggers(session).get(trigger_id)

    async def mark_due(self, trigger_id: str) -> None:
        """Makes a trigger due whose event has happened."""
        async with self.database.transaction() as session:
            row = await Triggers(session).get(trigger_id)
            if row is not None and row.state == TriggerState.WAITING:
                row.fires_at = self.clock()

    async def claim(self, trigger_id: str) -> int | None:
        """Returns the number of the attempt, which this process alone makes; None where nothing is to do.

        A time that was missed by more than `LATE` is not made up for.
        """
        now = self.clock()
        async with self.database.transaction() as session:
            triggers = Triggers(session)
            row = await triggers.get(trigger_id)
            if row is None or row.state != TriggerState.WAITING or row.fires_at is None:
                return None
            timed = When.model_validate(row.condition).of is None
            if timed and now - row.fires_at > LATE:
                await self._after(session, row, TriggerState.FAILED, "missed: nothing ran at that time")
                return None
            return await triggers.claim(trigger_id, now, now + CLAIM_FOR)

    async def renew(self, trigger_id: str) -> None:
        """Says that the claiming process still runs."""
        async with self.database.transaction() as session:
            row = await Triggers(session).get(trigger_id)
            if row is not None and row.state == TriggerState.FIRING:
                row.claimed_until = self.clock() + CLAIM_FOR

    async def release(self, trigger_id: str) -> None:
        """Lets a claimed trigger of which no call was made fire again."""
        async with self.database.transaction() as session:
            row = await Triggers(session).get(trigger_id)
            if row is not None and row.state == TriggerState.FIRING:
                row.state, row.claimed_until = move(TriggerState.FIRING, TriggerState.WAITING), None

    async def finish(
        self, trigger_id: str, result: str, *, worked: bool, references: Mapping[str, str] | None = None
    ) -> None:
        """Stores what came of it. `references`: ids by kind that dependants may wait for."""
        async with self.database.transaction() as session:
            row = await Triggers(session).get(trigger_id)
            if row is None or row.state not in (TriggerState.FIRING, TriggerState.WAITING):
                return
            state = TriggerState.FIRED if worked else TriggerState.FAILED
            if row.state == TriggerState.FIRING:
                row.fired_at = self.clock()
            await self._after(session, row, state, result, references or {})
        self.wake()

    async def fail(self, trigger_id: str, why: str) -> None:
        """Ends a trigger that can never fire, a repeated one too."""
        async with self.database.transaction() as session:
            row = await Triggers(session).get(trigger_id)
            if row is not None and row.state in (TriggerState.FIRING, TriggerState.WAITING):
                await self._end(session, row, TriggerState.FAILED, why)

    async def redact(self, session: AsyncSession, redaction: Redaction) -> None:
        """Redacts the triggers of an owner; what would still say a redacted text is cancelled."""
        for row in await Triggers(session).find_all(redaction.tenant, redaction.subject):
            if not redaction.matches([row.text, row.calls, row.result]):
                continue
            if row.state == TriggerState.WAITING:
                await self._end(session, row, TriggerState.CANCELLED, "what it was about is forgotten")
            row.text, row.calls = FORGOTTEN, redaction.redact(row.calls)
            row.result = redaction.redact(row.result)

    async def _after(
        self,
        session: AsyncSession,
        row: Trigger,
        state: TriggerState,
        result: str,
        references: Mapping[str, str] | None = None,
    ) -> None:
        """Ends a firing: a repeated trigger waits for its next time."""
        following = When.model_validate(row.condition).next_after(self.clock())
        if following is None or When.model_validate(row.condition).every is None:
            await self._end(session, row, state, result, references)
            return
        if row.state == TriggerState.FIRING:
            row.state = move(TriggerState.FIRING, TriggerState.WAITING)
        row.fires_at, row.claimed_until, row.result = following, None, _brief(result)
        await self._append(session, row, "trigger.fired" if state == TriggerState.FIRED else "trigger.failed")

    async def _end(
        self,
        session: AsyncSession,
        row: Trigger,
        state: TriggerState,
        result: str,
        references: Mapping[str, str] | None = None,
    ) -> None:
        row.state = move(TriggerState(row.state), state)
        row.result, row.claimed_until = _brief(result), None
        await self._append(session, row, f"trigger.{state}")
        for one in await Triggers(session).dependants(row.id):
            condition = When.model_validate(one.condition)
            found = (references or {}).get(str(condition.of))
            if state == TriggerState.FIRED and found is not None:
                one.condition = {**one.condition, "name": found}
                one.after_id = None
            else:
                await self._end(session, one, TriggerState.CANCELLED, f"{row.id}, before it, is {state}")

    async def _append(self, session: AsyncSession, row: Trigger, kind: str) -> None:
        data = {"id": row.id, "state": row.state, "session_id": row.session_id, "result": row.result}
        await self.events.append(session, f"session:{row.session_id}", kind, data)


def _brief(result: str) -> str:
    return mask_text(result.strip()[:RESULT_CHARS])


async def _times(
    triggers: Triggers, principal: Principal, drafts: Sequence[Draft], now: datetime
) -> list[datetime | None]:
    if await triggers.count_open(principal.tenant, principal.id) + len(drafts) > MOST_OPEN:
        raise Conflict(
            "trigger.too_many",
            f"{MOST_OPEN} triggers wait already.",
            "Cancel some first: “list the triggers”.",
        )
    times = [draft.condition.next_after(now) for draft in drafts]
    for place, (draft, fires_at) in enumerate(zip(drafts, times, strict=True)):
        if draft.condition.of is None and fires_at is None:
            raise Invalid("trigger.over", "That time is over already.", "Say a time to come.")
        if draft.condition.name == PREVIOUS and place and drafts[place - 1].condition.every is not None:
            raise Invalid(
                "trigger.repeats",
                "What is done again and again is never over, so nothing can wait for its result.",
                "Say the second step as a plan of its own.",
            )
    return times


def _named(rows: Sequence[Trigger], reference: str) -> Sequence[Trigger]:
    folded = " ".join(reference.casefold().split()).strip(" .,;:!?“”\"'")
    if folded == "all" and rows:
        return rows
    if folded == "latest" and rows:
        return rows[-1:]
    ids = {part.strip() for part in folded.split(",")}
    if found := [row for row in rows if row.id in ids or (len(folded) >= 4 and row.id.endswith(folded))]:
        return found
    if folded.isdigit() and 0 < int(folded) <= len(rows):
        return [rows[int(folded) - 1]]
    if len(rows) == 1 and not _telling(folded):
        # “The plan for the new one”: there is no other.
        return rows
    scores = {row.id: _likeness(folded, row.text) for row in rows}
    best = max(scores.values(), default=0)
    named = [row for row in rows if best and scores[row.id] == best]
    if len(named) > 1:
        raise Conflict(
            "trigger.several",
            f"{len(named)} triggers fit: {'; '.join(row.text for row in named[:5])}.",
            "Say which, by its number.",
        )
    if not rows:
        raise NotFound("trigger.not_found", "Nothing is planned.", "Say what shall be done, and when.")
    if not named:
        raise _no_trigger(reference)
    return named


def _no_trigger(reference: str) -> NotFound:
    return NotFound(
        "trigger.not_found",
        f"Nothing that waits is called {reference[:80]!r}.",
        "Say “list the triggers” to see which ones wait.",
    )


def _likeness(reference: str, text: str) -> int:
    """Returns how many words of a reference are in a text, spelt nearly so; short ones say nothing."""
    there = _words(text)
    return sum(process.extractOne(word, there, scorer=fuzz.ratio, score_cutoff=LIKE_WORD) is not None
               for word in _telling(reference))  # fmt: skip


def _telling(reference: str) -> list[str]:
    return [word for word in _words(reference) if len(word) >= TELLING_CHARS or word.isdigit()]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
