"""What real servers of chat completions do beyond the plain form, each by a scripted server over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from model_talk import QUESTION, Talking, notices, renders, texts
from scripted_model import Call, Raw, Say, Script, ScriptedModel, Status, scripted_model, stream

from agent.events import Failure, Notice
from agent.model import OpenAiServer, TextPiece, ToolAsk, Usage
from agent.model.backend import CutShort, Piece
from agent.model.openai_server import retry_after_s
from soundstage.errors import SoundstageError

LOADING = Status(503, body='{"error":{"message":"Loading model","type":"unavailable_error","code":503}}')
"""As llama.cpp says it."""
TOO_LONG = {
    "llama.cpp": {
        "code": 400,
        "message": "request (3020 tokens) exceeds the available context size (1024 tokens)",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 3020,
        "n_ctx": 1024,
    },
    "openai": {
        "message": "This model's maximum context length is 8192 tokens. Your messages have 9001.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "context_length_exceeded",
    },
    "vllm": {"message": "This model's maximum context length is 4096 tokens.", "type": "BadRequestError"},
    "text": "prompt exceeds the context window",
}


async def asked(*script: Script) -> list[Piece]:
    async with scripted_model(*script) as model:
        return await pieces_of(model)


async def pieces_of(model: ScriptedModel) -> list[Piece]:
    server = OpenAiServer("x", model.base_url, "m")
    return [piece async for piece in server.ask([{"role": "user", "content": "hi"}], [], max_tokens=99)]


def told(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))


def calls(pieces: list[Piece]) -> list[tuple[str, Any]]:
    return [(piece.name, json.loads(piece.arguments)) for piece in pieces if isinstance(piece, ToolAsk)]


def call(name: str | None, arguments: Any, index: int | None = None, id: str | None = None) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "function", "function": {"name": name, "arguments": arguments}}
    if index is not None:
        one["index"] = index
    if id is not None:
        one["id"] = id
    return {"tool_calls": [one]}


def said(*contents: str) -> Raw:
    return stream(*({"content": content} for content in contents))


@pytest.mark.parametrize(
    "line, answer",
    [
        (stream({"reasoning_content": "Hm."}, {"content": "Yes."}), "Yes."),
        (stream({"reasoning": "Hm.", "content": ""}, {"content": "Yes."}), "Yes."),
        (said("<think>Hm.</think>\n\nYes."), "Yes."),
        (said("\n<th", "ink>", "Hm. ", "</", "think", ">", "\n", "Yes."), "Yes."),
        (said("<", "b>Yes"), "<b>Yes"),
        (said("<thi"), "<thi"),
        (said("Yes <think> is a word."), "Yes <think> is a word."),
        (said("<think>Hm."), ""),
        (
            stream({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Yes."}]}),
            "Yes.",
        ),
        (said("Y\0es."), "Yes."),
    ],
)
async def test_what_a_model_thinks_aloud_is_not_its_answer(line: Raw, answer: str) -> None:
    assert told(await asked(line)) == answer


@pytest.mark.parametrize(
    "deltas",
    [
        [call("one", '{"a": ', 3, "i"), call(None, "1}", 3), call("two", "{}", 7, "j")],
        [call("one", '{"a": 1}', None, "i"), call("two", "{}", None, "j")],
        [call("one", '{"a": 1}', 0, "i"), call("two", "{}", 0, "j")],
        [call("one", '{"a": 1}'), call("two", "{}")],
        [call("one", {"a": 1}, 0, "i"), call("two", {}, 1, "j")],
        [call("one", '{"a"', 0, "i"), call("one", ": 1}", 0, "i"), call("two", None, 1, "j")],
        [call("one", '{"a"', 0, "i"), call("", ": 1}", 0, "another"), call("two", "", 1, "j")],
    ],
    ids=["gaps", "no index", "one index", "no ids", "objects", "name repeated", "ids of pieces"],
)
async def test_tool_calls_are_put_together_however_they_are_numbered(deltas: list[dict[str, Any]]) -> None:
    pieces = await asked(stream(*deltas, finish="tool_calls"))
    assert calls(pieces) == [("one", {"a": 1}), ("two", {})]


async def test_tokens_are_those_counted_last() -> None:
    def usage(total: int | None) -> bytes:
        return f'data: {{"choices": [], "usage": {{"total_tokens": {json.dumps(total)}}}}}\n\n'.encode()

    no_choices = b'data: {"choices": [], "usage": null, "prompt_filter_results": []}\n\n'
    body = (
        no_choices + usage(None) + usage(3) + said("Yes.").body.removesuffix(b"data: [DONE]\n\n") + usage(29)
    )
    pieces = await asked(Raw(body + b"data: [DONE]\n\n"))
    assert [piece.tokens for piece in pieces if isinstance(piece, Usage)] == [3, 29]
    assert told(pieces) == "Yes."


async def test_comments_that_keep_the_connection_alive_are_no_events() -> None:
    line = stream({"content": "Ye"}, {"content": "s."}, between=": ping\n\n:\n\nevent: message\nretry: 10\n")
    assert told(await asked(line)) == "Yes."
    assert told(await asked(Raw(line.body.replace(b"\n", b"\r\n").replace(b"data: ", b"data:")))) == "Yes."


async def test_an_answer_that_reaches_its_limit_has_no_tool_calls() -> None:
    pieces = await asked(stream({"content": "I"}, call("one", '{"a": 1}', 0, "i"), finish="length"))
    assert pieces == [TextPiece("I"), CutShort()]


async def test_a_person_is_told_that_an_answer_has_reached_its_limit(talking: Talking) -> None:
    half = {"content": "Let me do that."}, call("make_render", '{"script": "hi"}', 0, "i")
    async with talking(stream(*half, finish="length")) as talk:
        events = await talk.say("make me some sort of video, anything, whatever you like")
        assert await renders(talk) == []
        [line] = (await talk.services.experts.survey()).experts
    assert texts(events) == ["Let me do that."]
    assert notices(events) == ["model.cut_short"]
    assert line.failures == 0
    async with talking(stream({"reasoning_content": "Hm, hm"}, finish="length"), reader=False) as talk:
        events = await talk.say("lst my vidoes")
    assert notices(events) == ["model.cut_short"]
    assert any(isinstance(event, Failure) for event in events), "nothing was said, so the grammar answers"


async def test_the_limit_has_another_name_where_the_server_wants_that() -> None:
    words = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    refused = Status(400, body=json.dumps({"error": {"message": words, "param": "max_tokens"}}))

    def answer(body: Mapping[str, Any]) -> Say | Status:
        return refused if "max_tokens" in body else Say("Yes.")

    async with scripted_model(answer) as model:
        server = OpenAiServer("x", model.base_url, "m")
        for _ in range(2):
            assert told([piece async for piece in server.ask([], [], max_tokens=99)]) == "Yes."
        limits = [(one.get("max_tokens"), one.get("max_completion_tokens")) for one in model.asked]
    assert limits == [(99, None), (None, 99), (None, 99)], "learned once"
    with pytest.raises(SoundstageError, match="max_completion_tokens"):
        await asked(refused)


async def test_a_model_that_is_being_loaded_is_asked_again(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.model.openai_server.LOADING_S", 0.01)
    async with talking(LOADING, LOADING, Say("Here I am.")) as talk:
        assert texts(await talk.say(QUESTION)) == ["Here I am."]
        [line] = (await talk.services.experts.survey()).experts
        assert (line.failures, line.state) == (0, "well")
    async with talking(LOADING) as talk:
        assert notices(await talk.say(QUESTION)) == ["model.loading"]
        assert len(talk.model.asked) == 4
        [line] = (await talk.services.experts.survey()).experts
        assert line.failures == 1, "however often it was asked in this turn"


@pytest.mark.parametrize("status", [503, 529])
async def test_an_overloaded_server_is_busy(status: int) -> None:
    with pytest.raises(SoundstageError) as error:
        await asked(Status(status, {"Retry-After": "7"}, "<html>"))
    assert (error.value.code, error.value.headers) == ("model.busy", {"Retry-After": "7"})


def test_the_time_to_wait_is_read_in_both_of_its_forms() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    assert 15 < (retry_after_s({"retry-after": soon}) or 0) <= 20
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after_s({"retry-after": "99999999"}) == 3600
    for nothing in ({}, {"retry-after": "soon"}, {"retry-after": "٣"}, {"retry-after": "-1"}):
        assert retry_after_s(nothing) is None


@pytest.mark.parametrize("server", TOO_LONG)
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_is_longer_than_the_context_is_an_error_of_its_own(server: str, streamed: bool) -> None:
    body = json.dumps({"error": TOO_LONG[server]})
    with pytest.raises(SoundstageError) as error:
        await asked(Raw(f"data: {body}\n\n".encode()) if streamed else Status(400, body=body))
    assert error.value.code == "model.context_full"
    if server == "llama.cpp":
        assert "(3020 tokens of 1024)" in error.value.message


async def test_a_conversation_that_is_too_long_is_told_without_its_beginning(talking: Talking) -> None:
    full = Status(400, body=json.dumps({"error": TOO_LONG["llama.cpp"]}))

    def answer(body: Mapping[str, Any]) -> Say | Status:
        return full if len(body["messages"]) > 4 else Say(f"I heard {len(body['messages'])}.")

    async with talking(answer, reader=False) as talk:
        received = [texts(await talk.say(f"{QUESTION} ({n})")) for n in range(3)]
        assert received == [["I heard 2."], ["I heard 4."], ["I heard 2."]]
        assert [one["role"] for one in talk.model.asked[-1]["messages"]] == ["system", "user"]
        talk.model.script[:] = [full]
        for _ in range(4):
            events = await talk.say("lst my vidoes")
        assert notices(events) == ["model.context_full"]
        assert any(isinstance(event, Failure) and event.suggestions for event in events)
        [line] = (await talk.services.experts.survey()).experts
    assert (line.failures, line.state) == (0, "well"), "one long conversation takes no model from the others"


@pytest.mark.parametrize(
    "error",
    [
        {
            "code": 500,
            "message": "The model produced output that does not match the expected peg-native format",
            "type": "server_error",
        },
        {
            "code": 500,
            "message": "got exception: Unexpected empty grammar stack after accepting piece: <call> (282)",
            "type": "server_error",
        },
        {
            "code": 500,
            "message": "got exception: Invalid diff: now finding less tool calls!",
            "type": "server_error",
        },
        {"message": "Failed to call a function.", "type": "invalid_request_error", "code": "tool_use_failed"},
    ],
    ids=["llama.cpp", "llama.cpp, a token", "llama.cpp, fewer calls", "groq"],
)
async def test_a_tool_call_that_the_server_cannot_read_is_written_anew_once(
    talking: Talking, error: dict[str, Any]
) -> None:
    broken = Raw(f"data: {json.dumps({'error': error})}\n\n".encode())
    async with talking(broken, Call("list_renders"), Say("None.")) as talk:
        assert texts(await talk.say(QUESTION)) == ["None."]
    async with talking(broken) as talk:
        assert notices(await talk.say(QUESTION)) == ["model.garbled"]
        assert len(talk.model.asked) == 2


async def test_the_servers_own_words_are_told_in_one_line_and_without_secrets(talking: Talking) -> None:
    words = "tools param requires\n--jinja flag; Authorization: Bearer sk-verysecret0123456789 " + "x" * 500
    async with talking(Status(500, body=json.dumps({"error": {"message": words}}))) as talk:
        events = await talk.say(QUESTION)
    [notice] = [event for event in events if isinstance(event, Notice)]
    assert "status 500: tools param requires --jinja flag" in notice.text
    assert "verysecret" not in notice.text and len(notice.text) < 400
    for body in ("<html>", "[1]", '"x"', "{}", '{"error": null}', '{"error": {"message": 7}}', "[" * 99999):
        with pytest.raises(SoundstageError, match=r"model\.refused"):
            await asked(Status(500, body=body))


async def test_a_call_as_llama_cpp_streams_it_is_understood() -> None:
    pieces = await asked(Call("list_renders", {"limit": 3}, also=(Call("list_personas"),)))
    assert calls(pieces) == [("list_renders", {"limit": 3}), ("list_personas", {})]
