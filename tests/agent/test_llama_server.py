"""The Brain and its client against a real llama.cpp server, with models whose weights are made here."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from llama_server import HOW, LlamaServer, llama_programs, llama_server
from model_talk import QUESTION, Talking, notices, renders, results, texts
from scripted_model import Say
from test_model_servers import LOADING, TOO_LONG
from tiny_gguf import AFTER_A_THOUGHT, AFTER_A_TOOL, SENTENCE, byte_number, write_random, write_speaking

from agent.events import BrainEvent, Done, Failure, Notice, Text, TextPart, ToolCalled
from agent.model import OpenAiServer, TextPiece, ToolAsk, Usage
from agent.model.backend import CutShort, Piece
from agent.model.instructions import tool_schema
from agent.model.openai_server import refusal
from agent.tools.toolset import prepare_call
from app.composition import Services
from soundstage.errors import SoundstageError

pytestmark = pytest.mark.slow

WAIT_S = 60
GARBAGE = {"model.silent", "model.cut_short", "model.wrong_calls", "model.garbled"}
FOR_EVER = f"{QUESTION} (on)"
"""The model goes on until its limit."""


@dataclass(frozen=True)
class Llama:
    """The programs, the models, and where they lie."""

    programs: Path
    folder: Path

    @property
    def speaking(self) -> Path:
        return self.folder / "speaking.gguf"

    @property
    def slow(self) -> Path:
        """Says the same at some 100 tokens a second."""
        return self.folder / "slow.gguf"

    @property
    def random(self) -> Path:
        return self.folder / "random.gguf"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Llama:
    programs = llama_programs()
    if programs is None:
        pytest.skip(HOW)
    created = Llama(programs, tmp_path_factory.mktemp("llama"))
    write_speaking(created.speaking)
    write_speaking(created.slow, width=640, layers=8)
    write_random(created.random, seed=1)
    return created


@pytest.fixture(scope="module")
def speaking(llama: Llama) -> Iterator[LlamaServer]:
    with llama_server(llama.programs, llama.speaking, llama.folder) as server:
        yield server


@pytest.fixture(scope="module")
def slow(llama: Llama) -> Iterator[LlamaServer]:
    with llama_server(llama.programs, llama.slow, llama.folder) as server:
        yield server


@pytest.fixture(scope="module")
def random(llama: Llama) -> Iterator[LlamaServer]:
    with llama_server(llama.programs, llama.random, llama.folder) as server:
        yield server


def client(server: LlamaServer, **options: Any) -> OpenAiServer:
    return OpenAiServer("llama", server.base_url, "speaking", **options)


async def asked(server: LlamaServer, words: str, max_tokens: int = 99) -> list[Piece]:
    messages = [{"role": "user", "content": words}]
    return [piece async for piece in client(server).ask(messages, [], max_tokens=max_tokens)]


def local(server: LlamaServer, **more: Any) -> dict[str, Any]:
    return {"base_url": server.base_url, "model": "speaking", **more}


async def freed(server: LlamaServer) -> None:
    """Waits until it computes nothing any more."""
    async with asyncio.timeout(WAIT_S):
        while server.slots()[0]["is_processing"]:  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.02)


# What the real server says, which the scripted one imitates.


async def test_a_sentence_is_streamed_and_its_tokens_are_counted(speaking: LlamaServer) -> None:
    pieces = await asked(speaking, "when does the tide come?")
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextPiece)) == SENTENCE
    assert len(pieces) == len(SENTENCE.split()) + 1
    [usage] = [piece for piece in pieces if isinstance(piece, Usage)]
    assert 30 < usage.tokens < 60, "bytes of the question, and a token for each word of the answer"


async def test_its_failures_are_those_that_the_scripted_server_imitates(llama: Llama) -> None:
    with llama_server(llama.programs, llama.slow, llama.folder, context=1024, loaded=False) as server:
        assert server.wait_for(503) == json.loads(LOADING.body)
        with server.halted():
            asking = asyncio.create_task(asked(server, "hello?"))
            await asyncio.sleep(0.5)
        with pytest.raises(SoundstageError, match=r"model\.loading"):
            await asking
        assert server.wait_for(200) == {"status": "ok"}
        long = {"messages": [{"role": "user", "content": "x" * 3000}], "stream": True}
        async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as http:
            answer = await http.post("/chat/completions", json=long)
        reply, imitated = answer.json()["error"], TOO_LONG["llama.cpp"]
        assert isinstance(imitated, dict) and answer.status_code == reply["code"] == imitated["code"]
        assert (reply["type"], reply["n_ctx"]) == (imitated["type"], imitated["n_ctx"])
        assert reply.keys() == imitated.keys()


async def test_every_tool_of_ours_can_be_called_as_its_grammar_wants(
    random: LlamaServer, services: Services
) -> None:
    toolset = services.brain.toolset
    schemas = [tool_schema(tool) for tool in toolset.tools.values()]
    assert len(schemas) > 15
    usable = 0
    async with httpx.AsyncClient(base_url=random.base_url, trust_env=False, timeout=WAIT_S) as http:
        for chosen in [[one] for one in schemas] + [schemas]:
            body = {
                "messages": [{"role": "user", "content": "go on"}],
                "tools": chosen,
                "tool_choice": "required",
                "max_tokens": 1500,
                "seed": 7,
                # ASCII, with short texts.
                "logit_bias": [[byte_number(byte), -30.0] for byte in range(128, 256)]
                + [[byte_number(ord('"')), 4.0]],
            }
            answer = await http.post("/chat/completions", json=body)
            assert answer.is_success, (chosen[0]["function"]["name"], answer.text)
            choice = answer.json()["choices"][0]
            if choice["finish_reason"] != "tool_calls":
                assert choice["finish_reason"] == "length"
                continue
            for call in choice["message"]["tool_calls"]:
                arguments = json.loads(call["function"]["arguments"])
                try:
                    prepare_call(toolset, call["function"]["name"], arguments)
                    usable += 1
                except SoundstageError as error:
                    # What a schema cannot say: which of two arguments, a colour, a name.
                    assert error.code != "tool.not_found", error
    assert usable >= len(schemas)


# The Brain with a model that speaks.


async def test_an_answer_of_a_fixed_form_is_held_to_its_schema(random: LlamaServer) -> None:
    schema = {
        "type": "object",
        "properties": {
            "level": {"enum": ["low", "high"]},
            "scenes": {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "maxItems": 3},
        },
        "required": ["level", "scenes"],
        "additionalProperties": False,
    }
    messages = [{"role": "user", "content": "go on"}]
    stream = client(random).ask(messages, [], max_tokens=400, schema=schema)
    text = "".join([piece.text async for piece in stream if isinstance(piece, TextPiece)])
    answer = json.loads(text)
    assert answer.keys() == {"level", "scenes"} and answer["level"] in ("low", "high")
    assert [type(one) for one in answer["scenes"]] == [bool] * 3


async def test_the_brain_tells_what_the_model_says_piece_by_piece(
    talking: Talking, speaking: LlamaServer
) -> None:
    async with talking(Say("no"), local=local(speaking), reader=False) as talk:
        events = await talk.say(QUESTION)
    assert texts(events) == [SENTENCE]
    assert len([event for event in events if isinstance(event, TextPart)]) == len(SENTENCE.split())
    assert notices(events) == []


async def test_the_model_calls_tools_and_tells_what_they_found(
    talking: Talking, speaking: LlamaServer
) -> None:
    async with talking(Say("no"), local=local(speaking), reader=False) as talk:
        one = await talk.say(f"{QUESTION} (call)")
        two = await talk.say(f"{QUESTION} (two)")
    called = [(event.tool, event.arguments.get("limit")) for event in one if isinstance(event, ToolCalled)]
    assert called == [("list_renders", 3)]
    assert [event.tool for event in results(two)] == ["list_personas", "list_renders"]
    assert texts(one) == texts(two) == [AFTER_A_TOOL]


async def test_a_conversation_is_read_anew_only_from_where_it_differs(talking: Talking, llama: Llama) -> None:
    counted: list[tuple[int, int]] = []
    # A server of its own: no other test has filled its cache.
    with llama_server(llama.programs, llama.speaking, llama.folder) as server:
        async with talking(Say("no"), local=local(server), reader=True) as talk:
            for words in ("the thing with the boats, perhaps", "and the other thing", "or what do you think"):
                [done] = [event for event in await talk.say(words) if isinstance(event, Done)]
                assert done.usage is not None
                counted.append((done.usage.tokens, done.usage.cached_tokens))
            talk.session_id = None
            [done] = [
                event
                for event in await talk.say("the thing with the boats, perhaps")
                if isinstance(event, Done)
            ]
            assert done.usage is not None
    print(f"tokens and cached tokens of three turns: {counted}; of another conversation: {done.usage}")
    (_, first), (tokens, second), (more, third) = counted
    assert first < second < third
    assert second > 0.8 * tokens and third > 0.8 * more
    assert done.usage.cached_tokens > 0.5 * done.usage.tokens, "conversations share their beginning"


async def test_what_the_model_thinks_is_not_told(
    talking: Talking, speaking: LlamaServer, llama: Llama
) -> None:
    async with talking(Say("no"), local=local(speaking), reader=False) as talk:
        assert texts(await talk.say(f"{QUESTION} (think)")) == [AFTER_A_THOUGHT]
    inside = ("--reasoning-format", "none")
    with llama_server(llama.programs, llama.speaking, llama.folder, *inside) as server:
        async with talking(Say("no"), local=local(server), reader=False) as talk:
            assert texts(await talk.say(f"{QUESTION} (think)")) == [AFTER_A_THOUGHT]


async def test_a_model_that_is_being_loaded_answers_the_person_who_waits(
    talking: Talking, llama: Llama, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[SoundstageError] = []

    def noted(*arguments: Any) -> SoundstageError:
        seen.append(refusal(*arguments))
        return seen[-1]

    monkeypatch.setattr("agent.model.openai_server.refusal", noted)
    with llama_server(llama.programs, llama.slow, llama.folder, loaded=False) as server:
        server.wait_for(503)
        async with AsyncExitStack() as stack:
            # It loads no further while the services are opened.
            with server.halted():
                talk = await stack.enter_async_context(talking(Say("no"), local=local(server), reader=False))
                saying = asyncio.create_task(talk.say(QUESTION))
                await asyncio.sleep(3.0)
            assert texts(await saying) == [SENTENCE]
    assert {error.code for error in seen} == {"model.loading"}, "once or more, as the machine is quick"


# When something is too much, or goes wrong.


async def test_who_stops_listening_frees_the_server(slow: LlamaServer) -> None:
    started = time.monotonic()
    stream = client(slow).ask([{"role": "user", "content": FOR_EVER}], [], max_tokens=4096)
    assert isinstance(await anext(stream), TextPiece)
    assert slow.slots()[0]["is_processing"]
    await stream.aclose()
    await freed(slow)
    assert time.monotonic() - started < 10, "4096 tokens take longer"


async def test_a_person_who_cancels_frees_the_server(talking: Talking, speaking: LlamaServer) -> None:
    async with talking(Say("no"), local=local(speaking), reader=False) as talk:
        conversation = await talk.services.brain.sessions.open(talk.principal)
        begun = asyncio.Event()

        async def listen(event: BrainEvent) -> None:
            if isinstance(event, TextPart):
                begun.set()

        listening = asyncio.create_task(talk.services.brain.answer(conversation, FOR_EVER, listen))
        async with asyncio.timeout(WAIT_S):
            await begun.wait()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        [turn] = await talk.services.brain.sessions.turns(talk.principal, conversation.id)
    await freed(speaking)
    assert (turn.state, turn.reply[:6]) == ("cancelled", "and on")


async def test_an_answer_ends_at_its_limit_and_says_so(talking: Talking, speaking: LlamaServer) -> None:
    pieces = await asked(speaking, FOR_EVER, max_tokens=5)
    assert pieces[-1] == CutShort() and len(pieces) == 7
    pieces = await asked(speaking, "call it (call)", max_tokens=5)
    assert not [piece for piece in pieces if isinstance(piece, ToolAsk)], "half a call is none"
    async with talking(Say("no"), local=local(speaking), reader=False) as talk:
        events = await talk.say(FOR_EVER)
    assert notices(events) == ["model.cut_short"]
    [reply] = texts(events)
    assert len(reply.split()) == 2 * 4096


async def test_what_a_turn_may_take_holds_for_a_real_server(
    talking: Talking, slow: LlamaServer, speaking: LlamaServer
) -> None:
    async with talking(Say("no"), local=local(speaking), agent={"turn_tokens": 1500}, reader=False) as talk:
        events = await talk.say(f"{QUESTION} (call)")
        assert notices(events) == ["model.over_budget"], "as the server counts, one call takes more"
    async with talking(Say("no"), local=local(slow), reader=False, agent={"turn_s": 2.0}) as talk:
        assert notices(await talk.say(FOR_EVER)) == ["model.over_budget"]
    await freed(slow)


async def test_a_conversation_longer_than_the_context_goes_on_without_its_beginning(
    talking: Talking, llama: Llama
) -> None:
    with llama_server(llama.programs, llama.speaking, llama.folder, context=4096) as server:
        async with talking(Say("no"), local=local(server), reader=False) as talk:
            for _ in range(3):
                events = await talk.say(f"{QUESTION} {'I say much. ' * 60}")
                assert (texts(events), notices(events)) == ([SENTENCE], [])
            events = await talk.say(f"lst my vidoes {'all of them ' * 400}")
            [notice] = [event for event in events if isinstance(event, Notice)]
            assert notice.code == "model.context_full" and "of 4096)" in notice.text
            assert any(isinstance(event, Failure) for event in events)
            [line] = (await talk.services.experts.survey()).experts
            assert (line.failures, line.state) == (0, "well")


async def test_what_a_model_writes_at_random_ends_and_changes_nothing(
    talking: Talking, random: LlamaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is asked in every turn, however often it has failed.
    monkeypatch.setattr("agent.experts.router.TRIPS_AFTER", 99)
    async with talking(Say("no"), local=local(random), reader=False, agent={"turn_s": 30.0}) as talk:
        for number in range(6):
            events = await talk.say(f"{QUESTION} {number}")
            assert events[-1].type == "done"
            assert set(notices(events)) <= GARBAGE, [one for one in events if isinstance(one, Notice)]
            assert any(isinstance(event, TextPart | Text | Failure) for event in events), "something is told"
            called = [event.effect for event in events if isinstance(event, ToolCalled)]
            assert set(called) <= {"read"}
        assert await renders(talk) == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--api-key", "right"), "status 401: Invalid API Key"),
        (("--no-jinja",), "tools param requires --jinja flag"),
    ],
)
async def test_how_the_server_was_started_wrongly_is_told(
    talking: Talking, llama: Llama, arguments: tuple[str, ...], words: str
) -> None:
    with llama_server(llama.programs, llama.speaking, llama.folder, *arguments) as server:
        async with talking(Say("no"), local=local(server), reader=False) as talk:
            events = await talk.say(QUESTION)
    [notice] = [event for event in events if isinstance(event, Notice)]
    assert notice.code == "model.refused" and words in notice.text


async def test_a_server_that_is_killed_in_mid_answer_leaves_what_it_said(
    talking: Talking, llama: Llama
) -> None:
    with llama_server(llama.programs, llama.slow, llama.folder) as server:
        stream = client(server).ask([{"role": "user", "content": FOR_EVER}], [], max_tokens=4096)
        assert await anext(stream) == TextPiece("and on ")
        server.process.send_signal(signal.SIGKILL)
        with pytest.raises(SoundstageError, match=r"model\.cut_off"):
            async for _ in stream:
                pass
        async with talking(Say("no"), local=local(server), reader=False) as talk:
            assert notices(await talk.say(QUESTION)) == ["model.unreachable"]


async def test_a_server_that_stands_still_is_not_waited_for_longer_than_its_time_out(
    slow: LlamaServer,
) -> None:
    with slow.halted(), pytest.raises(SoundstageError, match=r"model\.slow"):
        async for _ in client(slow, silence_s=1.0).ask([], [], max_tokens=9):
            pass
    assert await asked(slow, "and again?")
