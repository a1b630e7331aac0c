"""An upgrade sets nodes aside and lets them in again, and leaves alone whom a person has set aside. A real
Nomad with ACLs.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from node_drain import NodeError, drain, enable
from secured_agent import SecuredAgent, run_secured_agent

REASON = "an upgrade"
A_DRAIN = {"DrainSpec": {"Deadline": 60_000_000_000}, "Meta": {"message": "a new fan"}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredAgent]:
    with run_secured_agent(tmp_path_factory.mktemp("nomad") / "agent") as agent:
        yield agent


@pytest.fixture
def agent(running: SecuredAgent) -> SecuredAgent:
    """It works."""
    enable(running, running.node()["Name"], wait_s=60)
    return running


def upgrade(agent: SecuredAgent) -> bool:
    """Returns whether the node's drain is ours to end."""
    ours = drain(agent, agent.node()["Name"], REASON, deadline_s=60, wait_s=60)["ours"]
    assert isinstance(ours, bool)
    return ours


def test_a_node_that_worked_is_ours_also_for_a_run_after_one_that_was_cut_off(agent: SecuredAgent) -> None:
    assert upgrade(agent)
    assert agent.node()["SchedulingEligibility"] == "ineligible"
    assert upgrade(agent)
    enable(agent, agent.node()["Name"], wait_s=60)
    assert agent.node()["SchedulingEligibility"] == "eligible"


def test_a_node_that_a_person_has_drained_is_not_ours_and_keeps_the_reason(agent: SecuredAgent) -> None:
    agent.put(f"/v1/node/{agent.node()['ID']}/drain", A_DRAIN)
    assert not upgrade(agent)
    assert not upgrade(agent)
    assert agent.node()["LastDrain"]["Meta"]["message"] == "a new fan"


def test_a_node_set_aside_without_a_word_after_an_upgrade_is_not_ours(agent: SecuredAgent) -> None:
    assert upgrade(agent)
    enable(agent, agent.node()["Name"], wait_s=60)
    agent.put(f"/v1/node/{agent.node()['ID']}/eligibility", {"Eligibility": "ineligible"})
    assert not upgrade(agent)


def test_a_node_that_nobody_knows_is_said(agent: SecuredAgent) -> None:
    with pytest.raises(NodeError, match="there is no node called nobody"):
        enable(agent, "nobody", wait_s=1)
