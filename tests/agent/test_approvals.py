"""Calls that wait for people: who is asked, who may answer, and what voids a yes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from approval_stage import ADA, BOB, VIEWER, Stage, approvals_of, staged
from sentences import SentenceSnapshot
from sqlalchemy import select, update

from agent.approvals.errors import ApprovalRequired
from agent.approvals.models import Approval
from agent.approvals.schemas import ApprovalOut
from agent.approvals.states import ApprovalState
from agent.tools import ToolContext
from agent.tools.plan import Change, Plan
from agent.tools.toolset import prepare_call
from policy import Principal
from policy.decisions import Decision, Verdict
from policy.principal import Kind
from soundstage.database import utcnow
from soundstage.errors import Conflict, Forbidden

pytestmark = pytest.mark.each_database


async def test_a_destructive_call_waits_and_shows_what_it_would_do(
    stage: Stage, snapshot: SentenceSnapshot
) -> None:
    with pytest.raises(ApprovalRequired) as waits:
        await stage.call("wipe", machine="node-7")
    assert stage.farm.wiped == []
    assert waits.value.message == snapshot("wipe_waits", id=waits.value.approval_id)
    assert waits.value.hint == snapshot("wipe_waits_hint", id=waits.value.approval_id)
    assert waits.value.status == 202


async def test_after_a_yes_it_runs_once_and_by_itself(stage: Stage) -> None:
    approval_id = await stage.ask()
    out = await stage.decisions.vote(approval_id, BOB, agrees=True, reason="it is old")
    assert (out.state, out.votes[0].name, out.votes[0].reason) == (ApprovalState.APPROVED, "Bob", "it is old")
    assert await stage.decisions.run_approved() == 1
    assert stage.farm.wiped == ["node-7"]
    done = await stage.approvals.get(approval_id, ADA)
    assert (done.state, done.outcome) == (ApprovalState.DONE, "node-7 is empty.")
    assert await stage.decisions.run_approved() == 0
    # The yes is used up.
    assert await stage.ask() != approval_id
    assert stage.farm.wiped == ["node-7"]


async def test_the_server_runs_in_the_background_what_was_agreed_to_while_it_was_down(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.approvals.vote(approval_id, BOB, agrees=True)
    await stage.decisions.worker.start()
    await stage.until("approval.done")
    assert stage.farm.wiped == ["node-7"]


async def test_asking_again_meanwhile_asks_nobody_twice(stage: Stage) -> None:
    approval_id = await stage.ask()
    assert await stage.ask() == approval_id
    assert len(await approvals_of(stage.approvals, ADA)) == 1


async def test_a_yes_that_comes_while_it_is_asked_again_is_not_lost(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.approvals.vote(approval_id, BOB, agrees=True)
    # As the wrapper does when the yes came after it had looked for one.
    call = prepare_call(stage.toolset, "wipe", {"machine": "node-7"})
    context = ToolContext(principal=ADA, session_id="ses_1", services=cast("Any", None))
    plan = Plan(changes=(Change(what="2 disks are emptied", where="node-7"),))
    decision = Decision(verdict=Verdict.APPROVE, approvers=1)
    assert (await stage.approvals.request(context, call, decision, plan)).id == approval_id
    assert await stage.decisions.run_approved() == 1
    assert stage.farm.wiped == ["node-7"]


async def test_no_secret_is_told_or_kept_and_the_call_itself_has_it(stage: Stage) -> None:
    first, second = "qwertyuiop", "asdfghjkl"
    approval_id = await stage.ask("rotate", machine="node-7", password=first)
    other = await stage.ask("rotate", machine="node-7", password=second)
    assert other != approval_id, "a yes to one password is none to another"
    request = await stage.approvals.get(approval_id, ADA)
    assert "password = [masked]" in request.plan.sentence() and "machine = node-7" in request.plan.sentence()
    assert request.model_dump(mode="json")["arguments"] == {"machine": "node-7", "password": "[masked]"}
    await stage.decisions.vote(approval_id, BOB, agrees=True)
    await stage.decisions.vote(other, BOB, agrees=False)
    await stage.decisions.run_approved()
    assert stage.farm.passwords == [first]
    async with stage.db.session() as session:
        stored = [
            [row.state, row.arguments, row.plan, row.outcome]
            for row in await session.scalars(select(Approval))
        ]
    events = [stored, await stage.events.read(limit=1000), await stage.audit.read(0, 1000)]
    assert not [secret for secret in (first, second) if secret in str(events)]
    assert {state for state, *_ in stored} == {ApprovalState.DONE, ApprovalState.DENIED}


async def test_a_no_ends_it(stage: Stage) -> None:
    approval_id = await stage.ask()
    await stage.decisions.vote(approval_id, BOB, agrees=False, reason="no")
    assert await stage.state(approval_id) is ApprovalState.DENIED
    assert await stage.decisions.run_approved() == 0
    with pytest.raises(Conflict, match="denied already by Bob"):
        await stage.decisions.vote(approval_id, ADA, agrees=True)


@pytest.mark.parametrize("requester", ["key", "session"])
@pytest.mark.parametrize("voter", ["key", "session"])
async def test_whoever_asks_does_not_answer_neither_with_the_key_nor_with_a_login_of_it(
    stage: Stage, requester: Kind, voter: Kind
) -> None:
    approval_id = await stage.ask(machine="node-7", who=replace(ADA, kind=requester))
    with pytest.raises(Forbidden) as refused:
        await stage.decisions.vote(approval_id, replace(ADA, kind=voter), agrees=True)
    assert refused.value.code == "approval.own_question"
    assert await stage.state(approval_id) is ApprovalState.PENDING
    # Taking one's own question back is no danger.
    await stage.decisions.vote(approval_id, replace(ADA, kind=voter), agrees=False)


async def test_the_one_person_at_this_machine_agrees_after_having_seen_the_plan(stage: Stage) -> None:
    page = Principal("local:cli", "this machine", "admin", "session")
    out = await stage.decisions.vote(await stage.ask(machine="node-7", who=page), page, agrees=True)
    assert out.state is ApprovalState.APPROVED


async def test_only_somebody_who_might_do_it_can_agree_to_it(stage: Stage) -> None:
    approval_id = await stage.ask()
    with pytest.raises(Forbidden, match="machine:retire"):
        await stage.decisions.vote(approval_id, VIEWER, agrees=True)
    assert await stage.state(approval_id) is ApprovalState.PENDING


async def test_a_destructive_action_on_the_fleet_needs_two_people(stage: Stage) -> None:
    approval_id = await stage.ask("wipe_all", machine="all")
    first = await stage.decisions.vote(approval_id, BOB, agrees=True)
    assert (first.state, first.approvers) == (ApprovalState.PENDING, 2)
    with pytest.raises(Conflict) as error:
        await stage.decisions.vote(approval_id, BOB, agrees=True)
    assert error.value.code == "approval.voted"
    # The prompt and the page of one machine are one person.
    here = Principal.local_admin()
    page = Principal("local:cli", "this machine", "admin", "session")
    second = await stage.decisions.vote(approval_id, here, agrees=True)
    assert second.state is ApprovalState.APPROVED
    other = await stage.ask("wipe_all", machine="others")
    await stage.decisions.vote(other, here, agrees=True)
    with pytest.raises(Conflict):
        await stage.decisions.vote(other, page, agrees=True)


async def test_a_race_of_two_deciders_ends_in_one_decision(stage: Stage) -> None:
    approval_id = await stage.ask()
    people = [replace(BOB, id=f"key_{number}", name=f"P{number}") for number in range(6)]
    votes = await asyncio.gather(
        *(
            stage.decisions.vote(approval_id, who, agrees=number % 2 == 0)
            for number, who in enumerate(people)
        ),
        return_exceptions=True,
    )
    decided = [vote for vote in votes if isinstance(vote, ApprovalOut)]
    assert len(decided) == 1
    assert all(isinstance(vote, Conflict) for vote in votes if not isinstance(vote, ApprovalOut))
    assert await stage.state(approval_id) is decided[0].state
    assert len(decided[0].votes) == 1


async def test_two_processes_that_both_run_it_run_it_once(
    stage: Stage, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval_id = await stage.ask()
    async with staged(database_url, tmp_path, stage.farm) as second:
        both = asyncio.Barrier(2)

        def meeting(look: Callable[[], Awaitable[Sequence[Approval]]]) -> Any:
            """Neither begins before the other, too, has read that it may."""

            async def approved() -> Sequence[Approval]:
                rows = await look()
                await both.wait()
                return rows

            return approved

        for one in (stage, second):
            monkeypatch.setattr(one.approvals, "list_approved", meeting(one.approvals.list_approved))
        await stage.decisions.vote(approval_id, BOB, agrees=True)
        async with asyncio.timeout(60):
            seen = await asyncio.gather(stage.decisions.run_approved(), second.decisions.run_approved())
        assert seen == [1, 1]
        assert stage.farm.wiped == ["node-7"]
        assert await second.state(approval_id) is ApprovalState.DONE


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
    await stage.decisions.vote(approval_id, BOB, agrees=True)
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
            await stage.decisions.vote(approval_id, BOB, agrees=True)
        assert await stage.state(approval_id) is ApprovalState.EXPIRED
        assert await stage.ask(machine=f"node-{agreed}") != approval_id
    assert stage.farm.wiped == []
