"""What a persona's health tells of the speech service that its voice is from."""

from __future__ import annotations

import pytest
from avatar.spec import OpenAIVoice, QwenVoice
from loopback_http import CUT, Reply, Request, serving
from sentences import SentenceSnapshot

from studio.personas.health import look_at

LISTED = {"voices": ["vivian", "ryan"], "uploaded_voices": [{"name": "ada", "consent": "cns_1"}]}


async def check_voice(
    answers: dict[str, Reply | None], voice: str = "ada", key_env: str | None = None
) -> tuple[bool, str, list[Request]]:
    requests: list[Request] = []

    async def handler(request: Request) -> Reply | None:
        requests.append(request)
        return answers.get(request.path, Reply(404))

    async with serving(handler) as url:
        found = await look_at(QwenVoice(base_url=url, voice_id=voice, api_key_env=key_env))
    return found.ok, f"{found.message} {found.hint}", requests


async def test_a_service_that_lists_the_voice_is_well_and_is_never_asked_to_speak(
    snapshot: SentenceSnapshot,
) -> None:
    ok, message, requests = await check_voice({"/health": Reply(), "/v1/audio/voices": Reply.json(LISTED)})
    assert (ok, message.strip()) == (True, snapshot("voice_there"))
    assert {one.method for one in requests} == {"GET"}


async def test_a_voice_that_the_service_does_not_have_is_told_with_those_it_has() -> None:
    ok, message, _ = await check_voice({"/v1/audio/voices": Reply.json(LISTED)}, voice="grace")
    assert not ok
    assert "no voice 'grace'" in message and "ada, vivian, ryan" in message


async def test_a_service_that_still_loads_is_not_well() -> None:
    ok, message, _ = await check_voice({"/health": Reply(503), "/v1/audio/voices": Reply.json(LISTED)})
    assert not ok and "not ready (503)" in message


async def test_a_service_without_a_list_of_voices_is_only_reached(snapshot: SentenceSnapshot) -> None:
    ok, message, _ = await check_voice({"/v1/models": Reply.json({"data": [{"id": "tts-1"}]})})
    assert (ok, message.strip()) == (True, snapshot("reached"))


async def test_a_key_that_the_service_refuses_is_told_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECH_KEY", "sk-very-secret")
    ok, message, requests = await check_voice({"/v1/models": Reply(401)}, key_env="SPEECH_KEY")
    assert not ok and "refuses the key (401)" in message and "SPEECH_KEY" in message
    assert "very-secret" not in message
    assert requests[0].headers["authorization"] == "Bearer sk-very-secret"


@pytest.mark.parametrize(
    "answer", [CUT, Reply(200, b"\xff\xfe"), Reply.json([1]), Reply.json({"voices": [None, 3, {"name": 7}]})]
)
async def test_a_list_that_is_none_breaks_nothing(answer: Reply | None) -> None:
    ok, message, _ = await check_voice({"/v1/audio/voices": answer})
    assert ok is (answer is not CUT)
    assert ("does not answer" in message) is (answer is CUT)


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/audio/speech", "/tts/v1/"])
async def test_an_address_may_be_written_as_for_speaking(path: str, snapshot: SentenceSnapshot) -> None:
    requests: list[str] = []

    async def handler(request: Request) -> Reply:
        requests.append(request.path)
        return Reply.json({"voices": ["alloy"]}) if request.path.endswith("/audio/voices") else Reply(404)

    async with serving(handler) as url:
        found = await look_at(OpenAIVoice(base_url=url + path))
    assert (found.ok, found.message) == (True, snapshot("voice_of_a_clone"))
    assert requests[-1] == ("/tts" if path.startswith("/tts") else "") + "/v1/audio/voices"
