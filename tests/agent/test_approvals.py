"""Calls that wait for people, with real wrappers, rules and databases; only the tools are made for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import update

from agent.approvals.deciding import Deciding
from agent.approvals.errors import ApprovalRequired
from agent.approvals.models import Approval
from agent.approvals.schemas import ApprovalOut
from agent.approvals.service import ApprovalService
from agent.approvals.states import ApprovalState
from agent.tools import ToolContext, ToolResult, Toolset, tool
from agent.tools.plan import Change, Plan
from agent.tools.record import ToolRequest
from agent.tools.toolset import prepare_call
from agent.tools.wrappers import Guards, PlannedResult, standard_toolset
from app.tables import all_tables
from policy import Principal
from policy.audit import AuditLog
from policy.audit.head import HeadFile
from policy.decisions import Decider, Decision, Verdict
from policy.decisions.bundle import Bundle, shipped
from policy.decisions.embedded import EmbeddedEngine
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Forbidden, NotFound, SoundstageError, Unavailable
from soundstage.events import EventStore
from soundstage.telemetry import trace

pytestmark = pytest.mark.each_database

ADA = Principal("key_ada", "Ada", "operator", "session")
BOB = Principal("key_bob", "Bob", "operator", "session")
VIEWER = Principal("key_eve", "Eve", "viewer", "session")


class Wipe(ToolRequest):
    machine: str


class Wiped(ToolResult):
    machine: str

    def sentence(self) -> str:
        return f"{self.machine} is empty."


@dataclass
class Farm:
    """What the tools touch."""

    wiped: list[str] = field(default_factory=list)
    disks: int = 2
    broken: bool = False
    gate: asyncio.Event | None = None


@dataclass
class Stage:
    """Everything around the tools, and short ways to use it."""

    farm: Farm
    db: Database
    approvals: ApprovalService
    audit: AuditLog
    events: EventStore
    toolset: Toolset
    deciding: Deciding

    async def call(self, name: str, who: Principal = ADA, session: str = "ses_1", **arguments: Any) -> Any:
        context = ToolContext(principal=who, session_id=session, doors=cast("Any", None))
        return await self.toolset.run(context, prepare_call(self.toolset, name, arguments))

    async def ask(self, name: str = "wipe", **arguments: Any) -> str:
        """Calls a tool that has to wait; gives the id of the approval."""
        with pytest.raises(ApprovalRequired) as waits:
            await self.call(name, **(arguments or {"machine": "node-7"}))
        return waits.value.approval_id

    async def until(self, kind: str) -> None:
        """Until that has been told of some approval."""
        async with asyncio.timeout(60), aclosing(self.events.follow("approvals")) as events:
            async for event in events:
                if event.kind == kind:
                    return

    async def state(self, approval_id: str) -> ApprovalState:
        return (await self.approvals.get(approval_id, ADA)).state


def rules() -> Bundle:
    effects = {"permission": "machine:retire", "effect": "destructive"}
    own = {"wipe": effects, "wipe_all": {**effects, "approvers": 2, "because": "the whole farm is emptied"}}
    roles = dict(shipped().data["roles"])
    roles["operator"] = {**roles["operator"], "grants": [*roles["operator"]["grants"], "machine:retire"]}
    return Bundle.of(shipped().modules, {**shipped().data, "tools": own, "roles": roles})


@pytest.fixture(scope="module")
def engine() -> EmbeddedEngine:
    return EmbeddedEngine(rules())


@pytest.fixture
async def stage(engine: EmbeddedEngine, database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    farm = Farm()

    async def plan(context: ToolContext, request: Wipe) -> Plan:
        change = Change(what=f"{farm.disks} disks are emptied", where=request.machine)
        return Plan(changes=(change,), seconds=300)

    async def run(request: Wipe) -> Wiped:
        if farm.gate is not None:
            await farm.gate.wait()
        if farm.broken:
            raise SoundstageError("farm.gone", "The machine does not answer.")
        farm.wiped.append(request.machine)
        return Wiped(machine=request.machine)

    @tool(effect="destructive", permission="machine:retire", undo="nothing does", plan=plan)
    async def wipe(context: ToolContext, request: Wipe) -> Wiped:
        """Empty a machine."""
        return await run(request)

    @tool(effect="destructive", permission="machine:retire", undo="nothing does", plan=plan)
    async def wipe_all(context: ToolContext, request: Wipe) -> Wiped:
        """Empty all machines."""
        return await run(request)

    async def known(row: Approval) -> Principal | None:
        return {one.id: one for one in (ADA, BOB)}.get(row.requester_id)

    all_tables()
    db = Database(database_url)
    await db.create_tables()
    events = EventStore(db)
    audit = AuditLog(db, HeadFile(tmp_path / "head.json"))
    decider = Decider(engine)
    approvals = ApprovalService(db, events, audit)
    toolset = standard_toolset([wipe, wipe_all], Guards(db, events, decider, audit, approvals))
    deciding = Deciding(approvals, decider, toolset, cast("Any", None), known)
    yield Stage(farm, db, approvals, audit, events, toolset, deciding)
    await deciding.close()
    await db.close()


async def test_a_destructive_call_waits_and_shows_what_it_would_do(stage: Stage) -> None:
    with pytest.raises(ApprovalRequired) as waits:
        await stage.call("wipe", machine="node-7")
    assert stage.farm.wiped == []
    assert "2 disks are emptied: node-7" in waits.value.message
    assert "It takes about 5 minutes." in waits.value.message
    assert f"soundstage approvals approve {waits.value.approval_id}" in waits.value.hint
    assert waits.value.status == 202


async def test_after_a_yes_it_runs_once_and_by_itself(stage: Stage) -> None:
    approval_id = await stage.ask()
    out = await stage.deciding.vote(approval_id, BOB, agrees=True, reason="it is old")
    assert (out.state, out.votes[0].name, out.votes[0].reason) == (ApprovalState.APPROVED, "Bob", "it is old")
    assert await stage.deciding.run_approved() == 1
    assert stage.farm.wiped == ["node-7"]
    done = await stage.approvals.get(approval_id, ADA)
    assert (done.state, done.outcome) == (ApprovalState.DONE, "node-7 is empty.")
    assert await stage.deciding.run_approved() == 0
    # The yes is used up.
    assert await stage.ask() != approval_id
    assert stage.farm.wiped == ["node-7"]


async def test_the_server_runs_in_the_background_what_was_agreed_to_while_it_was_down(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.approvals.vote(approval_id, BOB, agrees=True)
    await stage.deciding.start()
    await stage.until("approval.done")
    assert stage.farm.wiped == ["node-7"]


async def test_asking_again_meanwhile_asks_nobody_twice(stage: Stage) -> None:
    approval_id = await stage.ask()
    assert await stage.ask() == approval_id
    assert len(await stage.approvals.list(ADA)) == 1


async def test_a_yes_that_comes_while_it_is_asked_again_is_not_lost(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.approvals.vote(approval_id, BOB, agrees=True)
    # As the wrapper does when the yes came after it had looked for one.
    call = prepare_call(stage.toolset, "wipe", {"machine": "node-7"})
    context = ToolContext(principal=ADA, session_id="ses_1", doors=cast("Any", None))
    plan = Plan(changes=(Change(what="2 disks are emptied", where="node-7"),))
    decision = Decision(verdict=Verdict.APPROVE, approvers=1)
    assert (await stage.approvals.request(context, call, decision, plan)).id == approval_id
    assert await stage.deciding.run_approved() == 1
    assert stage.farm.wiped == ["node-7"]


async def test_a_no_ends_it(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=False, reason="no")
    assert await stage.state(approval_id) is ApprovalState.DENIED
    assert await stage.deciding.run_approved() == 0
    with pytest.raises(Conflict, match="denied already by Bob"):
        await stage.deciding.vote(approval_id, ADA, agrees=True)


@pytest.mark.parametrize(
    ("who", "session"),
    [
        (replace(ADA, kind="key"), None),
        (BOB, "ses_1"),
    ],
    ids=["the key that asked", "the conversation that asked"],
)
async def test_whoever_asks_does_not_answer(stage: Stage, who: Principal, session: str | None) -> None:
    approval_id = await stage.ask()
    with pytest.raises(Forbidden) as refused:
        await stage.deciding.vote(approval_id, who, agrees=True, session_id=session)
    assert refused.value.code == "approval.own_question"
    assert await stage.state(approval_id) is ApprovalState.PENDING
    # Taking one's own question back is no danger.
    await stage.deciding.vote(approval_id, who, agrees=False, session_id=session)


async def test_only_somebody_who_might_do_it_can_agree_to_it(stage: Stage) -> None:
    approval_id = await stage.ask()
    with pytest.raises(Forbidden, match="machine:retire"):
        await stage.deciding.vote(approval_id, VIEWER, agrees=True)
    assert await stage.state(approval_id) is ApprovalState.PENDING


async def test_a_destructive_action_on_the_fleet_needs_two_people(stage: Stage) -> None:
    approval_id = await stage.ask("wipe_all", machine="all")
    first = await stage.deciding.vote(approval_id, BOB, agrees=True)
    assert (first.state, first.approvers) == (ApprovalState.PENDING, 2)
    with pytest.raises(Conflict) as error:
        await stage.deciding.vote(approval_id, BOB, agrees=True)
    assert error.value.code == "approval.voted"
    # The prompt and the page of one machine are one person.
    here = Principal.local_admin()
    page = Principal("loopback", "this machine", "admin", "loopback")
    second = await stage.deciding.vote(approval_id, here, agrees=True)
    assert second.state is ApprovalState.APPROVED
    other = await stage.ask("wipe_all", machine="others")
    await stage.deciding.vote(other, here, agrees=True)
    with pytest.raises(Conflict):
        await stage.deciding.vote(other, page, agrees=True)


async def test_a_race_of_two_deciders_ends_in_one_decision(stage: Stage) -> None:
    approval_id = await stage.ask()
    people = [replace(BOB, id=f"key_{number}", name=f"P{number}") for number in range(6)]
    votes = await asyncio.gather(
        *(stage.deciding.vote(approval_id, who, agrees=number % 2 == 0) for number, who in enumerate(people)),
        return_exceptions=True,
    )
    decided = [vote for vote in votes if isinstance(vote, ApprovalOut)]
    assert len(decided) == 1
    assert all(isinstance(vote, Conflict) for vote in votes if not isinstance(vote, ApprovalOut))
    assert await stage.state(approval_id) is decided[0].state
    assert len(decided[0].votes) == 1


async def test_two_processes_that_both_run_it_run_it_once(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=True)
    await asyncio.gather(*(stage.deciding.run_approved() for _ in range(4)))
    assert stage.farm.wiped == ["node-7"]
    assert await stage.state(approval_id) is ApprovalState.DONE


async def test_other_arguments_are_another_question(stage: Stage) -> None:
    approval_id = await stage.ask(machine="node-7")
    await stage.approvals.vote(approval_id, BOB, agrees=True)
    assert await stage.ask(machine="node-8") != approval_id
    assert stage.farm.wiped == []


async def test_nobody_else_and_no_other_conversation_can_use_a_yes(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.approvals.vote(approval_id, BOB, agrees=True)
    for other in ({"who": BOB}, {"session": "ses_2"}):
        with pytest.raises(ApprovalRequired):
            await stage.call("wipe", machine="node-7", **cast("Any", other))
    assert stage.farm.wiped == []


async def test_a_plan_that_has_drifted_voids_the_yes(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=True)
    stage.farm.disks = 3
    with pytest.raises(Conflict) as error:
        await stage.call("wipe", machine="node-7")
    assert error.value.code == "approval.drifted"
    assert stage.farm.wiped == []
    assert await stage.state(approval_id) is ApprovalState.VOID


async def test_a_plan_that_drifts_before_anybody_decides_is_asked_anew(stage: Stage) -> None:
    first = await stage.ask()
    stage.farm.disks = 3
    second = await stage.ask()
    assert await stage.state(first) is ApprovalState.VOID
    assert "3 disks" in (await stage.approvals.get(second, ADA)).plan.sentence()


async def test_a_yes_or_a_question_that_nobody_uses_expires(stage: Stage) -> None:
    for agreed in (False, True):
        approval_id = await stage.ask(machine=f"node-{agreed}")
        if agreed:
            await stage.approvals.vote(approval_id, BOB, agrees=True)
        async with stage.db.transaction() as session:
            await session.execute(update(Approval).values(expires_at=utcnow() - timedelta(seconds=1)))
        with pytest.raises(Conflict, match="expired"):
            await stage.deciding.vote(approval_id, BOB, agrees=True)
        assert await stage.state(approval_id) is ApprovalState.EXPIRED
        assert await stage.ask(machine=f"node-{agreed}") != approval_id
    assert stage.farm.wiped == []


async def test_a_call_that_fails_says_so_and_is_not_tried_again(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=True)
    stage.farm.broken = True
    await stage.deciding.run_approved()
    out = await stage.approvals.get(approval_id, ADA)
    assert (out.state, out.outcome) == (ApprovalState.FAILED, "farm.gone: The machine does not answer.")


async def test_a_fault_of_our_own_is_noted_and_keeps_nobody_waiting(stage: Stage) -> None:
    for machine in ("node-7", "node-8"):
        await stage.deciding.vote(await stage.ask(machine=machine), BOB, agrees=True)
    stage.farm.wiped = cast("Any", None)
    assert await stage.deciding.run_approved() == 2
    states = {out.state for out in await stage.approvals.list(ADA)}
    assert states == {ApprovalState.FAILED}
    ends = [line.data for line in await stage.audit.read(0, 100) if line.kind == "tool.ended"]
    assert [end["outcome"] for end in ends[-2:]] == ["internal.unexpected"] * 2


async def test_a_call_that_needs_no_yes_any_more_still_runs_on_it_and_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=True)

    async def everything(self: Decider, *_: object) -> Decision:
        return Decision(verdict=Verdict.ALLOW)

    monkeypatch.setattr(Decider, "decide", everything)
    await stage.deciding.run_approved()
    await stage.deciding.run_approved()
    assert stage.farm.wiped == ["node-7"]
    assert await stage.state(approval_id) is ApprovalState.DONE


async def test_a_yes_is_worth_nothing_when_the_policy_says_no_meanwhile(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=True)

    async def nothing(self: Decider, *_: object) -> Decision:
        return Decision(verdict=Verdict.DENY, reasons=("the role was narrowed",))

    monkeypatch.setattr(Decider, "decide", nothing)
    await stage.deciding.run_approved()
    assert stage.farm.wiped == []
    out = await stage.approvals.get(approval_id, ADA)
    assert out.state is ApprovalState.VOID and "the role was narrowed" in out.outcome


async def test_a_yes_is_kept_while_the_policy_cannot_be_asked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=True)

    async def away(self: Decider, *_: object) -> Decision:
        raise Unavailable("policy.engine_failed", "The policy could not be evaluated.")

    with monkeypatch.context() as patch:
        patch.setattr(Decider, "decide", away)
        await stage.deciding.run_approved()
    assert stage.farm.wiped == []
    assert await stage.state(approval_id) is ApprovalState.APPROVED
    await stage.deciding.run_approved()
    assert stage.farm.wiped == ["node-7"]


async def test_a_yes_is_void_when_the_policy_asks_for_more_people_meanwhile(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=True)

    async def two(self: Decider, *_: object) -> Decision:
        return Decision(verdict=Verdict.APPROVE, approvers=2)

    monkeypatch.setattr(Decider, "decide", two)
    await stage.deciding.run_approved()
    assert stage.farm.wiped == []
    out = await stage.approvals.get(approval_id, ADA)
    assert (out.state, out.outcome) == (ApprovalState.VOID, "the policy asks for more people now")


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
    await stage.deciding.start()
    await asyncio.wait_for(swept.wait(), 60)
    approval_id = await stage.ask()
    await stage.approvals.vote(approval_id, BOB, agrees=True)
    await stage.until("approval.done")
    assert stage.farm.wiped == ["node-7"]


async def test_a_call_whose_process_died_is_lost_and_never_repeated(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=True)
    async with stage.db.transaction() as session:
        ended = {"state": ApprovalState.RUNNING, "alive_until": utcnow() - timedelta(seconds=1)}
        await session.execute(update(Approval).values(**ended))
    assert await stage.deciding.run_approved() == 0
    out = await stage.approvals.get(approval_id, ADA)
    assert out.state is ApprovalState.LOST
    assert "look before asking again" in out.outcome


async def test_a_call_that_is_cut_off_is_noted(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=True)
    stage.farm.gate = asyncio.Event()
    running = asyncio.create_task(stage.deciding.run_approved())
    await stage.until("approval.running")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await stage.state(approval_id) is ApprovalState.FAILED


async def test_an_asker_whose_key_has_ended_gets_nothing(stage: Stage) -> None:
    gone = replace(ADA, id="key_gone")
    with pytest.raises(ApprovalRequired) as waits:
        await stage.call("wipe", who=gone, machine="node-7")
    await stage.deciding.vote(waits.value.approval_id, BOB, agrees=True)
    await stage.deciding.run_approved()
    assert stage.farm.wiped == []
    assert await stage.state(waits.value.approval_id) is ApprovalState.VOID


async def test_another_tenant_sees_nothing_of_it(stage: Stage) -> None:
    approval_id = await stage.ask()
    other = replace(BOB, tenant="acme")
    assert await stage.approvals.list(other) == []
    with pytest.raises(NotFound):
        await stage.deciding.vote(approval_id, other, agrees=True)


async def test_a_dry_run_shows_the_plan_and_asks_nobody(stage: Stage) -> None:
    context = ToolContext(ADA, "ses_1", cast("Any", None), dry_run=True)
    result = await stage.toolset.run(context, prepare_call(stage.toolset, "wipe_all", {"machine": "all"}))
    assert isinstance(result, PlannedResult)
    assert "2 people would have to agree." in result.sentence()
    assert stage.farm.wiped == [] and await stage.approvals.list(ADA) == []


async def test_whoever_may_not_is_refused_before_anybody_is_asked(stage: Stage) -> None:
    with pytest.raises(Forbidden):
        await stage.call("wipe", who=VIEWER, machine="node-7")
    assert await stage.approvals.list(VIEWER) == []


async def test_the_whole_story_is_one_trace_and_the_chain_holds(stage: Stage) -> None:
    with trace() as one:
        approval_id = await stage.ask()
    await stage.deciding.vote(approval_id, BOB, agrees=True)
    await stage.deciding.run_approved()
    story = await stage.audit.story(approval_id)
    assert {line.trace_id for line in story.lines} == {one}
    assert [line.kind for line in story.lines] == [
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
    told = [event.kind for event in await stage.events.read("approvals")]
    assert told == ["approval.requested", "approval.approved", "approval.running", "approval.done"]
