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

from policy.decisions.bundle import shipped

PATIENCE_S = 240
# Answers that say truly that something outside is missing: the farm, the machines, a voice, a channel.
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


def _try_all(tried: Tried, examples: int) -> None:
    def check(label: str, answer: Any) -> None:
        if answer.status_code >= 500:
            assert answer.json()["code"].split(".")[0] in HONEST, (label, answer.text)

    for operation in tried.operations():
        _attempt(operation, tried.url, {"Authorization": f"Bearer {tried.key}"}, examples, check)


def _attempt(
    operation: Any, url: str, headers: dict[str, str], examples: int, check: Callable[[str, Any], None]
) -> None:
    """Requests that fit the description of an operation, and what comes back."""

    @given(case=operation.as_strategy())
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
