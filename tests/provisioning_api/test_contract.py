"""The API keeps to its own description: no request, however strange, gets a 5xx of our own making."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from conftest import PATIENCE_S
from hypothesis import HealthCheck, Phase, given, settings
from real_server import RealServer, running_server

# Answers that say truly that something outside is missing or busy: a BMC, a machine, the database.
HONEST = {"power", "machine", "command", "artefact", "database"}


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
    with httpx.Client(base_url=tried.url, timeout=PATIENCE_S, trust_env=False) as operator:
        for number in range(3):
            call = {"hostname": f"a{number}", "ip": f"10.0.0.{number + 1}"}
            operator.post("/api/ready-for-provisioning", json=call).raise_for_status()
    try_all(tried, ca_file, examples=100)


def try_all(tried: RealServer, ca_file: Path, *, examples: int) -> None:
    """Every operation of the description, with requests that fit it and requests that do not."""
    document = httpx.get(f"{tried.url}/openapi.json", timeout=PATIENCE_S, trust_env=False).json()
    # Streams of events end only with their run.
    described = schemathesis.openapi.from_dict(document).exclude(path_regex="/events$")
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 50
    for operation in operations:
        _try(operation, tried, ca_file, examples)


def _try(operation: Any, tried: RealServer, ca_file: Path, examples: int) -> None:
    @given(case=operation.as_strategy())
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
        if answer.status_code >= 500:
            family = answer.json()["code"].split(".")[0]
            assert family in HONEST, (operation.label, answer.text, tried.log[-3000:])

    # A third of the calls for something in a path is for something that is there.
    names = ["a0", "a1", "a2"] * (examples // 9)
    attempt()
