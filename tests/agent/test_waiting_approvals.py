"""The agent shows pending approvals to people with the permission, of their tenant alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from approval_stage import approvals_of
from conversing import Conversing, calls, failure, result

from app.composition import Services
from policy import Principal

ADA = Principal("key_ada", "Ada", "admin", "session")
BEN = Principal("key_ben", "Ben", "editor", "session")
ELSEWHERE = replace(ADA, tenant="acme")


async def ask_for_deletion(services: Services) -> str:
    """Lets Ben ask for what somebody has to agree to, and returns the id of the approval."""
    talk = Conversing(services, BEN)
    await talk.say("Create a project called Tides")
    await talk.say("Delete the project Tides")
    [approval] = await approvals_of(services.decisions.approvals, ADA)
    return approval.id


@pytest.mark.parametrize(
    "text",
    [
        "what is waiting for approval?",
        "what needs my approval?",
        "are there any approvals?",
        "what do I have to approve?",
        "was wartet auf Freigabe?",
        "welche Freigaben sind offen?",
    ],
)
async def test_people_ask_for_it_in_many_words(services: Services, text: str) -> None:
    assert calls(await Conversing(services, ADA).say(text)) == ["list_approvals"]


@pytest.mark.parametrize(
    "text",
    [
        "is there a machine waiting for approval?",
        "is the video Tides waiting for approval?",
        "which approvals were given?",
        "who decided on the approvals?",
        "welche Freigaben wurden erteilt?",
        "remember that the plan needs approval: on Friday",
    ],
)
async def test_other_questions_about_approvals_are_others(services: Services, text: str) -> None:
    assert "list_approvals" not in calls(await Conversing(services, ADA).say(text))


async def test_each_is_shown_with_who_asked_until_it_is_decided(services: Services) -> None:
    talk = Conversing(services, ADA)
    assert await talk.told("what is waiting for approval?") == "Nothing waits for approval."
    approval = await ask_for_deletion(services)
    answer = await talk.told("what is waiting for approval?")
    assert answer.startswith("1 request waits for approval, with who asked:\n")
    assert "Move it to the trash" in answer and "“Tides”" in answer
    assert "Ben" in answer and approval in answer
    german = await talk.told("was wartet auf Freigabe?")
    assert german.startswith("Eine Anfrage wartet auf Freigabe, mit dem, der sie gestellt hat:\n")
    await services.decisions.vote(approval, ADA, agrees=False)
    assert await talk.told("was wartet auf Freigabe?") == "Nichts wartet auf Freigabe."


async def test_those_of_another_tenant_are_not_shown(services: Services) -> None:
    await ask_for_deletion(services)
    found = await Conversing(services, ELSEWHERE).say("what is waiting for approval?")
    assert result(found)["approvals"] == []


async def test_who_may_not_read_approvals_sees_none(services: Services) -> None:
    await ask_for_deletion(services)
    nobody = replace(BEN, id="key_eve", name="Eve", scopes=("chat:use", "project:read"))
    refused = failure(await Conversing(services, nobody).say("what is waiting for approval?"))
    assert refused.code == "policy.forbidden"
