"""The studio's API keeps to its own description: no request gets a 5xx, and without a key none gets in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from ready import told_until_ready
from schemathesis import GenerationMode

from policy.decisions.bundle import load_bundle

PATIENCE_S = 240
# The only answers from 500 on that are true here, each for want of something outside this process.
# Parts of uploads (tus 1.0.0) are bytes like any others.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
OUTSIDE = {
    "publishing.not_set_up": "YouTube takes videos only from an OAuth client that a person has made there",
    "cluster.not_configured": "nodes are drained by a Nomad, and none is set up here",
    "voice.no_worker": "a voice worker is another process, and none runs here",
    "voice.no_transport": "LiveKit and WebRTC are set up by the operator",
    "voice.no_livekit_keys": "an operator makes the keys of a LiveKit server",
    "voice.no_livekit": "LiveKit is a server of its own, and none is set up here",
    "speech.no_worker": "voices are tried by a worker, and this one ends before it says anything",
}
PUBLIC = set(load_bundle().data["public"])
# Streams end when somebody goes away; their heads are looked at apart.
ENDLESS = "/events$|/progress$"


@dataclass(frozen=True)
class Tried:
    """A server that is there to be asked anything; nobody is known without a key."""

    url: str
    key: str
    home: Any

    def operations(self) -> list[Any]:
        found = [one.ok() for one in self._described().exclude(path_regex=ENDLESS).get_all_operations()]
        assert len(found) > 90
        return found

    def streams(self) -> list[Any]:
        found = [one.ok() for one in self._described().include(path_regex=ENDLESS).get_all_operations()]
        assert len(found) > 4, found
        return found

    def call(self, method: str, path: str, **body: Any) -> Any:
        """With the key of the first start."""
        headers = {"Authorization": f"Bearer {self.key}"}
        answer = httpx.request(
            method, self.url + path, headers=headers, json=body, timeout=PATIENCE_S, trust_env=False
        )
        return answer.raise_for_status().json()

    def head(self, path: str, key: str | None = None) -> tuple[int, str]:
        """Status and type of a stream, which is closed before anything of it is read."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        with httpx.stream(
            "GET", self.url + path, headers=headers, timeout=PATIENCE_S, trust_env=False
        ) as answer:
            return answer.status_code, answer.headers.get("content-type", "").split(";")[0]

    def _described(self) -> Any:
        document = httpx.get(f"{self.url}/openapi.json", timeout=PATIENCE_S, trust_env=False).json()
        return schemathesis.openapi.from_dict(document)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, installation: Any) -> Iterator[Tried]:
    home = installation(tmp_path_factory.mktemp("contract"))
    process = home.start(
        "up",
        "--json",
        SOUNDSTAGE_WORKER__COMMAND='["/bin/false"]',
        SOUNDSTAGE_LOG__LEVEL="error",
    )
    told = told_until_ready(process, home.log)
    yield Tried(told["url"], told["key"], home)
    process.terminate()
    process.wait(60)


@pytest.mark.timeout(900)
def test_no_request_is_answered_with_a_5xx(tried: Tried) -> None:
    _try_all(tried, examples=3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_request_of_many_is_answered_with_a_5xx(tried: Tried) -> None:
    _try_all(tried, examples=60)


@pytest.mark.timeout(900)
def test_without_a_key_every_request_is_refused_or_for_everybody(tried: Tried) -> None:
    def check(label: str, answer: Any) -> None:
        assert answer.status_code < 500, (label, answer.text)
        assert label in PUBLIC or answer.status_code in (401, 405, 413, 429), (label, answer.text)

    for operation in tried.operations():
        _attempt(operation, tried.url, {}, 1, check)


@pytest.mark.timeout(900)
def test_requests_that_do_not_fit_the_description_are_refused_with_a_code_a_sentence_and_a_hint(
    tried: Tried,
) -> None:
    _try_all(tried, examples=2, mode=GenerationMode.NEGATIVE)


@pytest.mark.timeout(900)
def test_no_request_with_a_viewers_key_is_answered_with_a_5xx(tried: Tried) -> None:
    key = tried.call("POST", "/api/keys", name="eve", role="viewer")["key"]
    forbidden = _try_all(tried, examples=2, key=key)
    assert len(forbidden) > 30, sorted(forbidden)


def test_a_stream_of_what_is_there_begins_for_its_key_and_for_nobody_else(tried: Tried) -> None:
    told = tried.call("POST", "/api/chat", message="Make a video in 360p where Nova says: Hello.")
    [render_id] = [one["result"]["render_id"] for one in told["events"] if one["type"] == "tool_result"]
    conversation = f"/api/chat/sessions/{told['session_id']}"
    paths = ("/api/events", f"/api/renders/{render_id}/events", f"{conversation}/turns/1/events")
    for path in (*paths, f"/api/chat/renders/{render_id}/progress"):
        assert tried.head(path, tried.key) == (200, "text/event-stream"), path
        assert tried.head(path) == (401, "application/problem+json"), path


def test_no_stream_begins_with_a_5xx_and_none_without_a_key(tried: Tried) -> None:
    # Wrong keys are among them: after many, they are answered later (429).
    for operation in tried.streams():

        @given(case=operation.as_strategy())
        @_few(5)
        def attempt(case: schemathesis.Case) -> None:
            for key in (tried.key, None):
                headers = {} if key is None else {"Authorization": f"Bearer {key}"}
                call = case.as_transport_kwargs(base_url=tried.url, headers=headers)
                with requests.request(**call, stream=True, timeout=PATIENCE_S) as answer:
                    status = answer.status_code
                    is_outside = status >= 500 and answer.json()["code"] in OUTSIDE
                assert status < 500 or is_outside if key else status in (401, 405, 413, 429), (call, status)

        attempt()


def _try_all(
    tried: Tried,
    examples: int,
    mode: GenerationMode = GenerationMode.POSITIVE,
    key: str | None = None,
) -> set[str]:
    """Gives those operations that the policy forbade to the key."""
    refused: set[str] = set()
    forbidden: set[str] = set()

    def check(label: str, answer: Any) -> None:
        if answer.status_code >= 500:
            assert answer.json()["code"] in OUTSIDE, (label, answer.text)
        if answer.status_code == 403 and "policy.forbidden" in answer.text:
            forbidden.add(label)
        if mode is GenerationMode.NEGATIVE and answer.status_code >= 400 and answer.content:
            told = answer.json()
            assert told["code"] and told["detail"] and told["hint"], (label, answer.text)
            refused.add(label)

    for operation in tried.operations():
        if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation):
            continue
        headers = {"Authorization": f"Bearer {key or tried.key}"}
        _attempt(operation, tried.url, headers, examples, check, mode)
    assert mode is GenerationMode.POSITIVE or len(refused) > 70, sorted(refused)
    return forbidden


def _can_be_wrong(operation: Any) -> bool:
    """Whether there is anything in it that a request could get wrong."""
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


def _attempt(
    operation: Any,
    url: str,
    headers: dict[str, str],
    examples: int,
    check: Callable[[str, Any], None],
    mode: GenerationMode = GenerationMode.POSITIVE,
) -> None:
    """Requests that fit the description of an operation, or do not, and what comes back."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @_few(examples)
    def attempt(case: schemathesis.Case) -> None:
        check(operation.label, case.call(base_url=url, headers=headers, timeout=PATIENCE_S))

    attempt()


def _few(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
