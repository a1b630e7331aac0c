"""The API keeps to its own description: no request, however strange, gets a 5xx of our own making."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from conftest import PATIENCE_S
from hypothesis import HealthCheck, Phase, given, settings
from real_server import RealServer, running_server
from schemathesis import GenerationMode
from waiting import eventually

ANY_TEXT = "/boot/"
"""Whatever firmware asks for below it fits the description, which only says that it is text."""


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A server that is there to be asked anything."""
    folder = tmp_path_factory.mktemp("contract")
    (folder / "playbook.yaml").write_text("- hosts: all\n")
    environment = {
        "SOUNDSTAGE_STATE_DIR": str(folder / "state"),
        "SOUNDSTAGE_LOG__LEVEL": "error",
        "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(folder),
    }
    with running_server(folder, environment) as running:
        yield running


@pytest.fixture(scope="module")
def ca_file(tried: RealServer) -> Path:
    path = tried.folder / "ca.pem"
    path.write_text(httpx.get(f"{tried.url}/api/ca.pem", timeout=PATIENCE_S, trust_env=False).text)
    return path


@pytest.mark.timeout(900)
def test_no_request_is_answered_with_a_5xx(tried: RealServer, ca_file: Path) -> None:
    try_all(tried, ca_file, examples=5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_request_of_many_is_answered_with_a_5xx(tried: RealServer, ca_file: Path) -> None:
    """With machines there already, so that names in paths lead somewhere."""
    with httpx.Client(
        base_url=tried.url, headers=tried.headers, timeout=PATIENCE_S, trust_env=False
    ) as operator:
        for number in range(3):
            call = {"hostname": f"a{number}", "ip": f"10.0.0.{number + 1}"}
            # The tests before have used up what one address may ask at once.
            eventually(partial(is_taken, operator, call), within_s=PATIENCE_S)
    try_all(tried, ca_file, examples=100)


def is_taken(operator: httpx.Client, call: dict[str, str]) -> bool:
    return operator.post("/api/ready-for-provisioning", json=call).is_success


@pytest.mark.timeout(900)
def test_requests_that_do_not_fit_the_description_are_refused_with_a_code_a_sentence_and_a_hint(
    tried: RealServer, ca_file: Path
) -> None:
    refused = try_all(tried, ca_file, examples=3, mode=GenerationMode.NEGATIVE)
    assert len(refused) > 50, sorted(refused)


def try_all(
    tried: RealServer, ca_file: Path, *, examples: int, mode: GenerationMode = GenerationMode.POSITIVE
) -> set[str]:
    """Every operation, with requests that fit the description or do not; gives those that refused any."""
    document = httpx.get(f"{tried.url}/openapi.json", timeout=PATIENCE_S, trust_env=False).json()
    # Streams of events end only with their run.
    described = schemathesis.openapi.from_dict(document).exclude(path_regex="/events$")
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 50
    refused: set[str] = set()
    for operation in operations:
        if mode is GenerationMode.POSITIVE or _can_be_wrong(operation):
            _try(operation, tried, ca_file, examples, mode, refused)
    return refused


def _can_be_wrong(operation: Any) -> bool:
    """Whether there is anything in it that a request could get wrong."""
    request = bool(operation.body) or any(True for _ in operation.iter_parameters())
    return request and not operation.path.startswith(ANY_TEXT)


def _try(
    operation: Any, tried: RealServer, ca_file: Path, examples: int, mode: GenerationMode, refused: set[str]
) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def attempt(case: schemathesis.Case) -> None:
        for name in ("name", "hostname"):
            if name in (case.path_parameters or {}) and names:
                case.path_parameters[name] = names.pop()
        answer = case.call(base_url=tried.tls_url, verify=str(ca_file), timeout=PATIENCE_S)
        # Nothing outside is asked here: no BMC, no machine. So nothing can be missing or away, either.
        assert answer.status_code < 500, (operation.label, answer.text, tried.log[-3000:])
        if mode is GenerationMode.NEGATIVE and answer.status_code >= 400 and answer.content:
            problem = answer.json()
            assert problem["code"] and problem["detail"] and problem["hint"], (operation.label, answer.text)
            refused.add(operation.label)

    # A third of the calls for something in a path is for something that is there.
    names = ["a0", "a1", "a2"] * (examples // 9)
    attempt()
