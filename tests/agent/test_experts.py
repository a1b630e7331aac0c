"""Experts: found in a real Consul by tag, chosen by topic and by how they do, rested when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from brain_answers import answer
from loopback_http import Reply, Request, serving
from own_consul import OwnConsul
from scripted_model import Say, Script, ScriptedModel, Silence, Status, scripted_model

from agent.events import BrainEvent, Failure, Notice, Text
from agent.experts import Candidate, ConsulExperts, Router
from agent.experts.router import PAUSE_S, TrackRecord
from agent.model import OpenAiServer
from app.composition import Services, open_services
from policy import Principal
from soundstage.errors import SoundstageError
from soundstage.settings import Settings
from soundstage.settings.conversation import ExpertSettings

WAIT_S = 60


@pytest.fixture(scope="module")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Consul that lives as long as the tests of this module."""
    own = OwnConsul(tmp_path_factory.mktemp("consul"))
    try:
        own.start()
        yield own.url
    finally:
        own.kill()


@pytest.fixture
def own_consul(tmp_path: Path) -> Iterator[OwnConsul]:
    """A Consul of one test, which may do with it what it likes."""
    own = OwnConsul(tmp_path)
    try:
        own.start()
        yield own
    finally:
        own.kill()


@asynccontextmanager
async def expert(
    consul: str, name: str, *script: Script, topics: Sequence[str] = ()
) -> AsyncIterator[ScriptedModel]:
    """A scripted model that is registered in Consul while it runs."""
    async with (
        scripted_model(*script) as model,
        httpx.AsyncClient(base_url=consul, timeout=WAIT_S, trust_env=False) as client,
    ):
        service: dict[str, Any] = {
            "ID": name,
            "Name": "experts",
            "Address": "127.0.0.1",
            "Port": httpx.URL(model.base_url).port,
            "Tags": ["llm-expert", *(f"topic={topic}" for topic in topics)],
            "Meta": {"model": f"{name}-model"},
            "Check": {
                "TCP": f"127.0.0.1:{httpx.URL(model.base_url).port}",
                "Interval": "1s",
                "Status": "passing",
            },
        }
        (await client.put("/v1/agent/service/register", json=service)).raise_for_status()
        try:
            yield model
        finally:
            # A test that fails leaves a Consul that does not answer, and its own reason is what counts.
            with suppress(httpx.HTTPError):
                await client.put(f"/v1/agent/service/deregister/{name}", timeout=5)


@asynccontextmanager
async def brain(settings: Settings, consul: str, **experts: Any) -> AsyncIterator[Services]:
    chosen = {"consul_url": consul, "refresh_s": 0.05, "timeout_s": 20.0, **experts}
    async with open_services(
        Settings.model_validate({**settings.model_dump(exclude={"experts"}), "experts": chosen})
    ) as services:
        services.brain.reader = None
        yield services


async def say(services: Services, sentence: str) -> list[BrainEvent]:
    conversation = await services.brain.sessions.open(Principal.local_admin("test"))
    return await answer(services.brain, conversation, sentence)


async def gone(services: Services) -> None:
    """Waits until no expert is found any more."""
    async with asyncio.timeout(WAIT_S):
        while (await services.experts.survey()).experts:  # noqa: ASYNC110 - Consul tells nobody
            await asyncio.sleep(0.1)


def text(events: Sequence[BrainEvent]) -> str:
    return next((event.text for event in events if isinstance(event, Text)), "")


async def test_experts_are_found_by_their_tag_and_the_one_of_the_topic_is_asked(
    settings: Settings, consul: str
) -> None:
    async with (
        expert(consul, "sea", Say("I know the sea."), topics=["tides", "oceans"]) as sea,
        expert(consul, "all", Say("I know a bit of all.")),
        expert(consul, "law", Say("I know the law."), topics=["contracts"]),
        brain(settings, consul) as services,
    ):
        assert text(await say(services, "what makes a tide come and go?")) == "I know the sea."
        assert text(await say(services, "what is in a contract?")) == "I know the law."
        assert text(await say(services, "who was Ada?")) == "I know a bit of all."
        assert sea.asked[0]["model"] == "sea-model"
        survey = await services.experts.survey()
    assert {(one.name, one.topics, one.calls) for one in survey.experts} == {
        ("sea", ("oceans", "tides"), 1),
        ("all", (), 1),
        ("law", ("contracts",), 1),
    }
    assert survey.problems == ()


async def test_a_service_without_a_port_hides_no_other(settings: Settings, consul: str) -> None:
    portless = {"ID": "portless", "Name": "experts", "Tags": ["llm-expert"]}
    async with (
        httpx.AsyncClient(base_url=consul, timeout=WAIT_S, trust_env=False) as client,
        expert(consul, "all", Say("I know a bit of all.")),
        brain(settings, consul) as services,
    ):
        (await client.put("/v1/agent/service/register", json=portless)).raise_for_status()
        try:
            survey = await services.experts.survey()
        finally:
            await client.put("/v1/agent/service/deregister/portless")
    assert ([one.name for one in survey.experts], survey.problems) == (["all"], ())


async def test_a_password_in_an_address_is_not_shown(settings: Settings) -> None:
    llm = {"local": {"base_url": "http://me:hush@127.0.0.1:9/v1", "model": "x"}}
    chosen = {**settings.model_dump(exclude={"llm", "experts"}), "llm": llm}
    consul_url = "http://me:hush@127.0.0.1:9"
    async with open_services(
        Settings.model_validate({**chosen, "experts": {"consul_url": consul_url}})
    ) as services:
        survey = await services.experts.survey()
    assert [one.name for one in survey.experts] == ["local"] and len(survey.problems) == 1
    assert "hush" not in survey.model_dump_json()


async def test_among_equals_the_quicker_one_is_asked_and_a_dying_one_is_rested(
    settings: Settings, consul: str
) -> None:
    async with (
        expert(consul, "slow", Say("slow", pause_s=2.0)) as slow,
        expert(consul, "dying", Status(500)) as dying,
        expert(consul, "quick", Say("quick")) as quick,
        brain(settings, consul) as services,
    ):
        await services.experts.try_all()
        answers = [text(await say(services, f"question number {n}")) for n in range(4)]
        assert answers == ["quick"] * 4
        assert (len(slow.asked), len(dying.asked), len(quick.asked)) == (1, 1, 5)
        for _ in range(2):
            await services.experts.try_all()
        states = {one.name: (one.state, one.failures) for one in (await services.experts.survey()).experts}
        assert states == {"slow": ("well", 0), "dying": ("resting", 3), "quick": ("well", 0)}


async def test_when_one_dies_the_next_takes_over_and_when_all_do_the_grammar_answers(
    settings: Settings, consul: str
) -> None:
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(brain(settings, consul, refresh_s=3600, timeout_s=3.0))
        second = await stack.enter_async_context(expert(consul, "second", Say("second")))
        async with expert(consul, "first", Say("first"), topics=["tides"]):
            assert text(await say(services, "about tides")) == "first"
        # Consul was asked a while ago, so the dead one is still tried.
        assert text(await say(services, "about tides")) == "second"
        second.script[:] = [Silence()]
        events = await say(services, "lst my vidoes")
        assert [event.code for event in events if isinstance(event, Notice)] == ["model.unreachable"]
        assert "List my videos" in next(event for event in events if isinstance(event, Failure)).suggestions


async def test_an_expert_whose_check_fails_is_not_asked_any_more(settings: Settings, consul: str) -> None:
    async with expert(consul, "alone", Say("hello")) as model, brain(settings, consul) as services:
        assert text(await say(services, "anybody?")) == "hello"
        async with httpx.AsyncClient(base_url=consul, timeout=WAIT_S, trust_env=False) as client:
            await client.put("/v1/agent/service/maintenance/alone", params={"enable": "true"})
        await gone(services)
        events = await say(services, "anybody still?")
        assert [event.code for event in events if isinstance(event, Notice)] == ["model.none"]
        assert len(model.asked) == 1


async def test_while_consul_is_away_the_experts_known_last_are_asked_and_then_those_it_names(
    settings: Settings, own_consul: OwnConsul, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.experts.consul.TIMEOUT_S", 2.0)

    async def asked_while_away(kind: str) -> None:
        assert text(await say(services, f"what do you do while Consul {kind}?")) == "hello"
        survey = await services.experts.survey()
        assert [one.name for one in survey.experts] == ["kept"], kind
        [problem] = survey.problems
        assert f"Consul at {own_consul.url} did not say which experts there are" in problem, kind

    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(expert(own_consul.url, "kept", Say("hello")))
        services = await stack.enter_async_context(brain(settings, own_consul.url, refresh_s=1e-6))
        assert text(await say(services, "anybody?")) == "hello"
        assert (await services.experts.survey()).problems == ()
        own_consul.freeze()
        await asked_while_away("is frozen")
        own_consul.kill()
        await asked_while_away("is dead")
        assert len(model.asked) == 3
        own_consul.start()
        await gone(services)
        async with expert(own_consul.url, "new", Say("I am new.")):
            async with asyncio.timeout(WAIT_S):
                while not (survey := await services.experts.survey()).experts:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            assert ([one.name for one in survey.experts], survey.problems) == (["new"], ())
            assert text(await say(services, "anybody else?")) == "I am new."
        assert len(model.asked) == 3


@pytest.mark.parametrize(
    "reply",
    [
        Reply.json([1]),
        Reply.json({"experts": ["llm-expert"]}),
        Reply(500),
        Reply(200, b"<html>"),
        Reply(200, b"[" * 100_000),
        Reply(200, b"no gzip", {"content-encoding": "gzip"}),
        None,
    ],
)
async def test_nonsense_from_consul_is_a_problem_and_no_crash(reply: Reply | None) -> None:
    async def handler(_: Request) -> Reply | None:
        return reply

    async with serving(handler) as url:
        source = ConsulExperts(ExpertSettings.model_validate({"consul_url": url}))
        assert await source.candidates() == []
        assert "did not say which experts" in source.problem


async def test_a_consul_that_says_nothing_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.experts.consul.TIMEOUT_S", 0.2)
    request = 0

    async def handler(_: Request) -> Reply | None:
        nonlocal request
        request += 1
        await asyncio.sleep(60)
        return None

    async with serving(handler) as url:
        source = ConsulExperts(ExpertSettings.model_validate({"consul_url": url}))
        assert list(await asyncio.gather(*(source.candidates() for _ in range(5)))) == [[]] * 5
        assert request == 1 and "did not say which experts" in source.problem


@pytest.mark.parametrize(
    "wrong", [{}, {"consul_ca_file": "missing.pem"}, {"consul_client_cert_file": "missing.pem"}]
)
async def test_a_consul_that_shows_no_certificate_of_ours_is_a_problem_and_no_crash(
    wrong: dict[str, str], consul: str
) -> None:
    chosen = {"consul_url": consul.replace("http:", "https:"), **wrong}
    source = ConsulExperts(ExpertSettings.model_validate(chosen))
    assert await source.candidates() == []
    assert "did not say which experts" in source.problem


# The record and the breaker, on a clock of the test.


def test_who_fails_three_times_in_a_row_rests_and_one_answer_brings_it_back() -> None:
    record = TrackRecord()
    for _ in range(3):
        assert record.is_available(0.0)
        record.record_failure(0.0)
    assert record.state(0.0) == "resting" and not record.is_available(PAUSE_S - 0.1)
    assert record.state(PAUSE_S) == "on trial" and record.is_available(PAUSE_S)
    record.begin_trial(PAUSE_S)
    assert not record.is_available(PAUSE_S), "one answer decides; nobody else waits for it"
    record.record_failure(PAUSE_S)
    assert record.state(2 * PAUSE_S) == "resting", "each failed trial doubles the pause"
    assert record.state(3 * PAUSE_S) == "on trial"
    record.record_success(0.1, 3 * PAUSE_S)
    assert record.state(3 * PAUSE_S) == "well" and record.is_available(3 * PAUSE_S)


def test_a_trial_that_nobody_ends_is_given_up() -> None:
    record = TrackRecord()
    for _ in range(3):
        record.record_failure(0.0)
    record.begin_trial(PAUSE_S)
    assert record.is_available(PAUSE_S + 61)


def test_what_was_measured_long_ago_counts_less() -> None:
    slow, quick = TrackRecord(), TrackRecord()
    slow.record_success(8.0, now=0.0)
    quick.record_success(1.0, now=3000.0)
    assert slow.cost_s(now=10.0) > 5
    assert slow.cost_s(now=3000.0) < quick.cost_s(now=3000.0), "so that it is tried again"


async def test_a_model_of_the_settings_comes_after_the_experts_and_before_those_of_another_topic() -> None:
    def candidate(name: str, *topics: str, preference: int = 0) -> Candidate:
        server = OpenAiServer(name, "http://127.0.0.1:9/v1", "m")
        return Candidate(server, "", frozenset(topics), preference)

    class Fixed:
        problem = ""

        async def candidates(self) -> Sequence[Candidate]:
            near = candidate("local", preference=1)
            return [candidate("law", "law"), near, candidate("any"), candidate("sea", "sea")]

    router = Router([Fixed()])
    assert [one.name for one in await router.order("the sea")] == ["sea", "any", "local", "law"]


async def test_a_key_of_the_settings_goes_to_the_experts(
    settings: Settings, consul: str, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("expert-key")
    async with (
        expert(consul, "guarded", Say("hi")) as model,
        brain(settings, consul, api_key_file=key) as services,
    ):
        await say(services, "hello you out there, how is it?")
        assert model.headers[0]["authorization"] == "Bearer expert-key"
        key.unlink()
        events = await say(services, "hello you out there, once more?")
        assert [event.code for event in events if isinstance(event, Notice)] == [
            "settings.key_file_unreadable"
        ]


def test_a_token_for_consul_that_cannot_be_read_is_an_error_of_its_own(tmp_path: Path) -> None:
    chosen = ExpertSettings.model_validate({"consul_token_file": tmp_path / "none"})
    with pytest.raises(SoundstageError, match="key_file_unreadable"):
        chosen.consul_token()
