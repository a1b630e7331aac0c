"""A key for the provisioning API that may not act for people is told before somebody needs it."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "provisioning_api"))

import real_server

from app.machines_api import machines_api
from app.server.agents_key import key_looked_at
from policy import Principal
from soundstage.errors import Forbidden
from soundstage.settings import Settings

PATIENCE_S = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_server.RealServer]:
    folder = tmp_path_factory.mktemp("machines")
    with real_server.running_server(folder, {"SOUNDSTAGE_STATE_DIR": str(folder / "state")}) as running:
        yield running


@pytest.fixture
def with_key(server: real_server.RealServer, tmp_path: Path) -> Callable[..., Settings]:
    def settings_with_key(role: str, scopes: list[str] | None = None) -> Settings:
        body = {"name": f"agent as {role}", "role": role, "scopes": scopes}
        answer = httpx.post(
            f"{server.url}/api/keys",
            headers=server.headers,
            json=body,
            trust_env=False,
            timeout=PATIENCE_S,
        )
        file = tmp_path / "agent.key"
        file.write_text(answer.raise_for_status().json()["key"])
        section = {"api_url": server.url, "api_key_file": file}
        return Settings.model_validate({"state_dir": tmp_path / "state", "provisioning": section})

    return settings_with_key


async def test_a_change_with_such_a_key_says_what_the_key_needs(with_key: Callable[..., Settings]) -> None:
    async with machines_api(with_key("operator"), Principal.local_admin("Ada")) as api:
        await api.get("/api/machines")
        with pytest.raises(Forbidden) as refused:
            await api.patch("/api/machines/none", {"tags": ["x"]})
    assert refused.value.code == "machines.key_cannot_represent"
    assert "provisioning.api_key_file needs a key with the role admin" in refused.value.hint


@pytest.mark.parametrize(
    ("role", "scopes", "text"),
    [
        ("operator", None, True),
        ("admin", ["machine:*"], True),
        ("admin", ["machine:*", "person:represent"], False),
    ],
)
async def test_a_server_says_so_when_it_starts(
    with_key: Callable[..., Settings], capsys: pytest.CaptureFixture[str], role: str, scopes: Any, text: bool
) -> None:
    async with key_looked_at(with_key(role, scopes)):
        (looking,) = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait([looking], timeout=PATIENCE_S)
    assert ("machines.key_cannot_represent" in capsys.readouterr().err) is text


def test_the_doctor_says_it_too(
    with_key: Callable[..., Settings], cli: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count_looks() -> dict[str, str]:
        (found,) = (one for one in cli("doctor", "--json").json["checks"] if one["name"] == "machines")
        return {"level": found["level"], "fix": found["fix"]}

    settings = with_key("editor")
    monkeypatch.setenv("SOUNDSTAGE_WORKER__COMMAND", "/nowhere/avatar")
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_URL", str(settings.provisioning.api_url))
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_KEY_FILE", str(settings.provisioning.api_key_file))
    assert count_looks()["level"] == "red"
    assert "person:represent" in count_looks()["fix"] or "more rights" in count_looks()["fix"]
    with_key("admin")
    assert count_looks()["level"] == "green"
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_URL", "http://127.0.0.1:9")
    assert count_looks()["level"] == "amber"


def test_the_doctor_names_machines_that_failed(
    with_key: Callable[..., Settings],
    server: real_server.RealServer,
    cli: Any,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = with_key("admin")
    monkeypatch.setenv("SOUNDSTAGE_WORKER__COMMAND", "/nowhere/avatar")
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_URL", str(settings.provisioning.api_url))
    monkeypatch.setenv("SOUNDSTAGE_PROVISIONING__API_KEY_FILE", str(settings.provisioning.api_key_file))
    call = {"hostname": "broken", "ip": "10.0.0.7"}
    path = f"{server.url}/api/ready-for-provisioning"
    httpx.post(path, headers=server.headers, json=call, trust_env=False).raise_for_status()
    with closing(sqlite3.connect(server.folder / "state" / "provisioning" / "provisioning.db")) as rows, rows:
        rows.execute("UPDATE machines SET state = 'failed', cause = 'The disk is gone.'")
    (found,) = (one for one in cli("doctor", "--json").json["checks"] if one["name"] == "machines")
    assert (found["level"], found["code"]) == ("amber", "machines.need_operator")
    assert "broken (The disk is gone.)" in found["found"]
