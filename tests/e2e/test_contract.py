"""The studio's API keeps to its own description: no request gets a 5xx, and without a key none gets in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from policy.decisions.bundle import shipped

PATIENCE_S = 240
# Who says truly, with 502 to 504, that something outside is missing: farm, machines, a voice, a channel.
HONEST = {
    "machines",
    "nomad",
    "cluster",
    "farm",
    "speech",
    "live",
    "youtube",
    "publishing",
    "database",
    "memory",
}
PUBLIC = set(shipped().data["public"])
# They end when somebody goes away.
ENDLESS = "/events$|/progress$|/happenings$|/mcp"


@dataclass(frozen=True)
class Tried:
    """A server that is there to be asked anything; this machine is trusted with nothing there."""

    url: str
    key: str
    home: Any

    def operations(self) -> list[Any]:
        document = httpx.get(f"{self.url}/openapi.json", timeout=PATIENCE_S, trust_env=False).json()
        described = schemathesis.openapi.from_dict(document).exclude(path_regex=ENDLESS)
        found = [one.ok() for one in described.get_all_operations()]
        assert len(found) > 90
        return found


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, installation: Any) -> Iterator[Tried]:
    home = installation(tmp_path_factory.mktemp("contract"))
    process = home.start(
        "up",
        "--json",
        SOUNDSTAGE_PROVISIONING__ENABLED="false",
        SOUNDSTAGE_AUTH__LOOPBACK_IS_ADMIN="false",
        SOUNDSTAGE_WORKER__COMMAND='["/bin/false"]',
        SOUNDSTAGE_LOG__LEVEL="error",
    )
    assert process.stdout is not None
    key = url = ""
    for line in process.stdout:
        event = json.loads(line)
        key = event.get("key", key)
        url = event.get("url", url)
        if event.get("event") == "ready":
            break
    yield Tried(url, key, home)
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
        assert label in PUBLIC or answer.status_code in (401, 405, 413), (label, answer.text)

    for operation in tried.operations():
        _attempt(operation, tried.url, {}, 1, check)


@pytest.mark.timeout(900)
def test_requests_that_do_not_fit_the_description_are_refused_with_a_code_a_sentence_and_a_hint(
    tried: Tried,
) -> None:
    _try_all(tried, examples=2, mode=GenerationMode.NEGATIVE)


def _try_all(tried: Tried, examples: int, mode: GenerationMode = GenerationMode.POSITIVE) -> None:
    refused: set[str] = set()

    def check(label: str, answer: Any) -> None:
        if answer.status_code >= 500:
            honest = answer.status_code in (502, 503, 504)
            assert honest and answer.json()["code"].split(".")[0] in HONEST, (label, answer.text)
        if mode is GenerationMode.NEGATIVE and answer.status_code >= 400 and answer.content:
            told = answer.json()
            assert told["code"] and told["detail"] and told["hint"], (label, answer.text)
            refused.add(label)

    for operation in tried.operations():
        if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation):
            continue
        _attempt(operation, tried.url, {"Authorization": f"Bearer {tried.key}"}, examples, check, mode)
    assert mode is GenerationMode.POSITIVE or len(refused) > 70, sorted(refused)


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
