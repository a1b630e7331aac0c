"""Fires triggers in the background: each as a turn of its conversation, by the same toolset."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import InitVar, dataclass, replace
from datetime import timedelta

from agent.events import ApprovalRequested, BrainEvent, Done, Failure, TurnBegan, Understood
from agent.sessions.schemas import INTERRUPTED
from agent.sessions.service import SessionService
from agent.tools.services import ToolServices
from agent.tools.toolset import Toolset, prepare_call
from agent.triggers.conditions import Conditions, FindPrincipal
from agent.triggers.models import Trigger
from agent.triggers.schemas import StoredCall
from agent.triggers.service import TriggerService
from agent.triggers.states import TriggerState
from agent.turns.log import LogWriteFailed, TurnLog
from agent.turns.tool_call import ToolCaller
from policy import Principal
from soundstage.background import ItemWorker, LeaderLock
from soundstage.database.tenants import tenant_bypass_context
from soundstage.errors import NotFound, SoundstageError, internal_error
from soundstage.tasks import finish
from soundstage.telemetry import get_logger, new_trace_id, trace, trace_id
from soundstage.tracing import span

POLL_S = 2.0
MOST_ACTIVE = 4
LONGEST_WAIT = timedelta(days=30)
"""For an event."""
SOURCE = "trigger"
NO_OWNER = "whoever set it has no key any more"
CUT_OFF = "the process ended while it ran; look what it has done before you ask again"


def request_of(trigger_id: str, attempt: int) -> str:
    """Returns the idempotency key of an attempt: no two turns begin with it, in whichever process."""
    return f"{SOURCE}:{trigger_id}:{attempt}"


@dataclass
class TriggerWorker:
    """Runs what is due. One process of an installation polls (`lock`); a claim in the row holds
    against others. The turn of an attempt is stored before its first call, and says after a crash how far
    it came.
    """

    triggers: TriggerService
    sessions: SessionService
    toolset: Toolset
    services: ToolServices
    find_principal: FindPrincipal
    lock: InitVar[LeaderLock]

    def __post_init__(self, lock: LeaderLock) -> None:
        self._conditions = Conditions(self.services, self.find_principal, lambda: self.triggers.clock())
        self.worker = ItemWorker(
            "triggers",
            self.due,
            self.step,
            max_active=MOST_ACTIVE,
            poll_s=POLL_S,
            lock=lock,
            context=tenant_bypass_context,
        )
        self.triggers.wake = self.worker.wake

    async def due(self, in_flight: Collection[str], limit: int) -> Sequence[str]:
        """Returns triggers whose time or event has come, and claims of processes that are gone."""
        waiting = [row for row in await self.triggers.waiting_for_events() if row.id not in in_flight]
        too_old = {row.id for row in waiting if self.triggers.clock() - row.created_at > LONGEST_WAIT}
        for trigger_id in too_old:
            await self.triggers.fail(trigger_id, f"it has not happened in {LONGEST_WAIT.days} days")
        checked = await self._conditions.check(row for row in waiting if row.id not in too_old)
        for trigger_id, answer, why in checked:
            if answer == "yes":
                await self.triggers.mark_due(trigger_id)
            else:
                await self.triggers.fail(trigger_id, f"it cannot happen any more: {why}")
        return await self.triggers.due(in_flight, limit)

    async def step(self, trigger_id: str) -> None:
        """Fires one trigger, or recovers what another process left of it."""
        row = await self.triggers.get(trigger_id)
        if row is None or row.state not in (TriggerState.WAITING, TriggerState.FIRING):
            return
        principal = await self.find_principal(row)
        if principal is None:
            await self.triggers.fail(row.id, NO_OWNER)
        elif row.state == TriggerState.FIRING:
            await self._recover(row, principal)
        elif (attempt := await self.triggers.claim(row.id)) is not None:
            with (
                trace(new_trace_id(), tenant=row.tenant),
                span("fire trigger", {"soundstage.trigger.id": row.id}),
            ):
                await self._fire(row, principal, attempt)

    async def _recover(self, row: Trigger, principal: Principal) -> None:
        """Decides by its turn what became of a claimed trigger. No call that may have run is made again."""
        found = await self.sessions.turn_of_request(principal, request_of(row.id, row.attempts))
        if found is None:
            await self.triggers.release(row.id)
            return
        turn = await self.sessions.turn(principal, *found)
        if turn.finished_at is None:
            await self.triggers.renew(row.id)
        elif turn.error_code == INTERRUPTED and turn.tool is None:
            await self.triggers.release(row.id)
        elif turn.error_code == INTERRUPTED:
            await self.triggers.finish(row.id, CUT_OFF, worked=False)
        else:
            await self.triggers.finish(row.id, turn.reply, worked=turn.error_code is None)

    async def _fire(self, row: Trigger, principal: Principal, attempt: int) -> None:
        try:
            conversation = await self.sessions.open(principal, row.session_id)
            turn = await self.sessions.begin_turn(
                conversation, row.text, request_of(row.id, attempt), source=SOURCE
            )
        except NotFound as error:
            await self.triggers.fail(row.id, error.message)
            return
        conversation = replace(conversation, persona_id=turn.persona_id)
        caller = ToolCaller(self.toolset, self.services, conversation, turn)
        log = TurnLog(self.sessions, turn, _nowhere)
        worked = False
        try:
            async with log.flush_regularly():
                await log.emit(TurnBegan(session_id=turn.session_id, turn=turn.number, trace_id=trace_id()))
                worked = await self._call(caller, row, log)
        except LogWriteFailed as failed:
            await log.emit(Failure.of(failed.error))
        except SoundstageError as error:
            await log.emit(Failure.of(error))
        except Exception:
            get_logger(__name__).exception("a trigger broke", trigger=row.id)
            await log.emit(Failure.of(internal_error()))
        finally:
            await log.add(Done(session_id=turn.session_id, turn=turn.number))
            await finish(log.end())
        references = {
            kind: str(returned.result[f"{kind}_id"])
            for _, returned in caller.completed
            for kind in ("render", "run")
            if returned.result.get(f"{kind}_id")
        }
        await finish(
            self.triggers.finish(row.id, log.result.end().reply, worked=worked, references=references)
        )

    async def _call(self, caller: ToolCaller, row: Trigger, log: TurnLog) -> bool:
        """Makes the calls in order. Returns False, after the first that waits for people."""
        for stored in map(StoredCall.model_validate, row.calls):
            call = prepare_call(self.toolset, stored.tool, stored.arguments)
            await log.emit(Understood(intent=call.rule, tool=call.tool.name))
            outcome = await caller.run(call, log.emit)
            await log.emit(outcome.text)
            if isinstance(outcome.event, ApprovalRequested):
                return False
        return True


async def _nowhere(event: BrainEvent) -> None:
    """Nobody listens: who looks at the conversation reads the stored events."""
