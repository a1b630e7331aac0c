"""What becomes of a call that people agreed to, and of one that fails, dies or may no longer be made."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from approval_stage import ADA, BOB, VIEWER, Stage, approvals_of
from sentences import SentenceSnapshot
from sqlalchemy import update

from agent.approvals.errors import ApprovalRequired
from agent.approvals.models import Approval
from agent.approvals.states import ApprovalState
from agent.tools import ToolContext
from agent.tools.toolset import prepare_call
from agent.tools.wrappers import PlannedResult
from policy.decisions import Decider, Decision, Verdict
from soundstage.database import utcnow
from soundstage.errors import Forbidden, NotFound, Unavailable
from soundstage.telemetry import trace

pytestmark = pytest.mark.each_database


async def test_a_call_that_fails_says_so_and_is_not_tried_again(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=True)
    stage.farm.broken = True
    await stage.decisions.run_approved()
    out = await stage.approvals.get(approval_id, ADA)
    assert (out.state, out.outcome) == (ApprovalState.FAILED, "farm.gone: The machine does not answer.")


async def test_a_fault_of_our_own_is_noted_and_keeps_nobody_waiting(stage: Stage) -> None:
    for machine in ("node-7", "node-8"):
        await stage.decisions.vote(await stage.ask(machine=machine), BOB, agrees=True)
    stage.farm.wiped = cast("Any", None)
    assert await stage.decisions.run_approved() == 2
    states = {out.state for out in await approvals_of(stage.approvals, ADA)}
    assert states == {ApprovalState.FAILED}
    ends = [line.data for line in await stage.audit.read(0, 100) if line.kind == "tool.ended"]
    assert [end["outcome"] for end in ends[-2:]] == ["internal.unexpected"] * 2


async def test_a_call_that_needs_no_yes_any_more_still_runs_on_it_and_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=True)

    async def everything(self: Decider, *_: object) -> Decision:
        return Decision(verdict=Verdict.ALLOW)

    monkeypatch.setattr(Decider, "decide", everything)
    await stage.decisions.run_approved()
    await stage.decisions.run_approved()
    assert stage.farm.wiped == ["node-7"]
    assert await stage.state(approval_id) is ApprovalState.DONE


async def test_a_yes_is_worth_nothing_when_the_policy_says_no_meanwhile(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=True)

    async def nothing(self: Decider, *_: object) -> Decision:
        return Decision(verdict=Verdict.DENY, reasons=("the role was narrowed",))

    monkeypatch.setattr(Decider, "decide", nothing)
    await stage.decisions.run_approved()
    assert stage.farm.wiped == []
    out = await stage.approvals.get(approval_id, ADA)
    assert out.state is ApprovalState.VOID and "the role was narrowed" in out.outcome


async def test_a_yes_is_kept_while_the_policy_cannot_be_asked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=True)

    async def away(self: Decider, *_: object) -> Decision:
        raise Unavailable("policy.engine_failed", "The policy could not be evaluated.")

    with monkeypatch.context() as patch:
        patch.setattr(Decider, "decide", away)
        await stage.decisions.run_approved()
    assert stage.farm.wiped == []
    assert await stage.state(approval_id) is ApprovalState.APPROVED
    await stage.decisions.run_approved()
    assert stage.farm.wiped == ["node-7"]


async def test_a_yes_is_void_when_the_policy_asks_for_more_people_meanwhile(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, snapshot: SentenceSnapshot
) -> None:
    approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=True)

    async def two(self: Decider, *_: object) -> Decision:
        return Decision(verdict=Verdict.APPROVE, approvers=2)

    monkeypatch.setattr(Decider, "decide", two)
    await stage.decisions.run_approved()
    assert stage.farm.wiped == []
    out = await stage.approvals.get(approval_id, ADA)
    assert (out.state, out.outcome) == (ApprovalState.VOID, snapshot("more_people"))


async def test_the_background_survives_a_fault_of_one_round(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept, sweep = asyncio.Event(), stage.approvals.sweep

    async def broken_once() -> None:
        if not swept.is_set():
            swept.set()
            raise ZeroDivisionError
        await sweep()

    monkeypatch.setattr(stage.approvals, "sweep", broken_once)
    await stage.decisions.worker.start()
    await asyncio.wait_for(swept.wait(), 60)
    approval_id = await stage.ask()
    await stage.approvals.vote(approval_id, BOB, agrees=True)
    await stage.until("approval.done")
    assert stage.farm.wiped == ["node-7"]


async def test_a_call_whose_process_died_is_lost_and_never_repeated(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=True)
    async with stage.db.transaction() as session:
        ended = {"state": ApprovalState.RUNNING, "alive_until": utcnow() - timedelta(seconds=1)}
        await session.execute(update(Approval).values(**ended))
    assert await stage.decisions.run_approved() == 0
    out = await stage.approvals.get(approval_id, ADA)
    assert out.state is ApprovalState.LOST
    assert "look before asking again" in out.outcome


async def test_a_clock_that_is_set_ahead_loses_no_call_that_runs_here(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=True)
    stage.farm.gate = asyncio.Event()
    running = asyncio.create_task(stage.decisions.run_approved())
    await stage.until("approval.running")
    async with stage.db.transaction() as session:
        await session.execute(update(Approval).values(alive_until=utcnow() - timedelta(hours=1)))
    await stage.approvals.sweep()
    assert await stage.state(approval_id) is ApprovalState.RUNNING
    stage.farm.gate.set()
    await running
    assert await stage.state(approval_id) is ApprovalState.DONE


async def test_a_call_that_is_cut_off_is_noted(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=True)
    stage.farm.gate = asyncio.Event()
    running = asyncio.create_task(stage.decisions.run_approved())
    await stage.until("approval.running")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await stage.state(approval_id) is ApprovalState.FAILED


async def test_a_call_that_is_cut_off_as_it_is_claimed_is_noted_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=True)
    claim, go_on = stage.approvals.claim, asyncio.Event()

    async def slow(*given: Any) -> str | None:
        claimed = await claim(*given)
        await go_on.wait()
        return claimed

    monkeypatch.setattr(stage.approvals, "claim", slow)
    running = asyncio.create_task(stage.decisions.run_approved())
    await stage.until("approval.running")
    running.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stage.farm.wiped == []
    assert await stage.state(approval_id) is ApprovalState.FAILED


async def test_an_asker_whose_key_has_ended_gets_nothing(stage: Stage) -> None:
    gone = replace(ADA, id="key_gone")
    with pytest.raises(ApprovalRequired) as waits:
        await stage.call("wipe", who=gone, machine="node-7")
    await stage.decisions.vote(waits.value.approval_id, BOB, agrees=True)
    await stage.decisions.run_approved()
    assert stage.farm.wiped == []
    assert await stage.state(waits.value.approval_id) is ApprovalState.VOID


async def test_another_tenant_sees_nothing_of_it(stage: Stage) -> None:
    approval_id = await stage.ask()
    other = replace(BOB, tenant="acme")
    assert await approvals_of(stage.approvals, other) == []
    with pytest.raises(NotFound):
        await stage.decisions.vote(approval_id, other, agrees=True)


async def test_a_dry_run_shows_the_plan_and_asks_nobody(stage: Stage, snapshot: SentenceSnapshot) -> None:
    context = ToolContext(ADA, "ses_1", cast("Any", None), dry_run=True)
    result = await stage.toolset.run(context, prepare_call(stage.toolset, "wipe_all", {"machine": "all"}))
    assert isinstance(result, PlannedResult)
    assert result.sentence() == snapshot("dry_run")
    assert stage.farm.wiped == [] and await approvals_of(stage.approvals, ADA) == []


async def test_whoever_may_not_is_refused_before_anybody_is_asked(stage: Stage) -> None:
    with pytest.raises(Forbidden):
        await stage.call("wipe", who=VIEWER, machine="node-7")
    assert await approvals_of(stage.approvals, VIEWER) == []


async def test_the_whole_story_is_one_trace_and_the_chain_holds(stage: Stage) -> None:
    with trace() as one:
        approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=True)
    await stage.decisions.run_approved()
    trail = await stage.audit.trail(approval_id)
    assert {line.trace_id for line in trail.lines} == {one}
    assert [line.kind for line in trail.lines] == [
        "tool.called",
        "policy.decided",
        "approval.requested",
        "tool.ended",
        "approval.approved",
        "tool.called",
        "policy.decided",
        "approval.running",
        "approval.done",
        "tool.ended",
    ]
    assert (await stage.audit.verify()).broken_at is None
    events = [event.kind for event in await stage.events.read("approvals")]
    assert events == ["approval.requested", "approval.approved", "approval.running", "approval.done"]
