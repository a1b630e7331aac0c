"""The doctor names what is missing and what to do, and never fails itself."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sentences import SentenceSnapshot

from app.cli.saved_logins import Login, save_login
from app.doctor import machine
from app.local_access import KEY_FILE, write_local_access, write_private_file
from soundstage.settings import load_settings

Cli = Callable[..., Any]

GOOD_WORKER = """#!/bin/sh
echo '[{"name": "espeak-ng", "state": "ok", "detail": "1.51", "hint": ""},
       {"name": "mediapipe", "state": "limited", "detail": "absent", "hint": "install the extra"}]'
"""


@pytest.fixture
def worker(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worker program that answers the doctor."""
    path = home / "worker"
    path.write_text(GOOD_WORKER)
    path.chmod(0o755)
    monkeypatch.setenv("SOUNDSTAGE_WORKER__COMMAND", str(path))
    monkeypatch.setenv("SOUNDSTAGE_HTTP__PORT", "0")
    return path


def find_check(ran: Any) -> dict[str, tuple[str, str]]:
    return {check["name"]: (check["level"], check["fix"]) for check in ran.json["checks"]}


def test_a_machine_that_is_well_is_green_with_amber_for_what_is_optional(cli: Cli, worker: Path) -> None:
    ran = cli("doctor", "--json")
    checks = find_check(ran)
    assert ran.code == 0 and ran.json["ok"] is True
    assert checks["worker espeak-ng"][0] == "green"
    assert checks["worker mediapipe"] == ("amber", "install the extra")
    assert {"python", "settings", "disk", "port", "database", "personas", "worker"} <= checks.keys()


def test_every_complaint_says_what_to_do(cli: Cli, worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDSTAGE_WORKER__COMMAND", "/nowhere/avatar")
    monkeypatch.setenv("SOUNDSTAGE_PERSONAS_DIR", "/nowhere/personas")
    ran = cli("doctor", "--json")
    assert ran.code == 1
    complaints = {name: fix for name, (level, fix) in find_check(ran).items() if level == "red"}
    assert complaints.keys() == {"worker", "personas"}
    assert all(complaints.values())


def test_the_worker_looks_at_the_weights_that_it_will_use(
    cli: Cli, worker: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A voice file of Piper, for example, is in the folder of the settings."""
    text = """[{"name": "piper", "state": "ok", "detail": "'"$AVATAR_MODELS"'", "hint": ""}]"""
    worker.write_text(f"#!/bin/sh\necho '{text}'\n")
    monkeypatch.setenv("SOUNDSTAGE_WORKER__MODELS_FOLDER", str(home / "models"))
    assert str(home / "models") in cli("doctor", "--json").out


@pytest.mark.parametrize("script", ["exit 3", "echo nonsense", "sleep 0; echo '[{}]'"])
def test_a_worker_that_answers_nonsense_is_red(cli: Cli, worker: Path, script: str) -> None:
    worker.write_text(f"#!/bin/sh\n{script}\n")
    assert find_check(cli("doctor", "--json"))["worker"][0] == "red"


def test_bad_settings_are_the_only_finding(cli: Cli, home: Path) -> None:
    (home / "config.toml").write_text("[http]\nport = -1\n")
    ran = cli("doctor")
    assert ran.code == 1 and "http.port" in ran.out


def test_a_taken_port_is_amber(cli: Cli, worker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("SOUNDSTAGE_HTTP__PORT", str(taken.getsockname()[1]))
        level, fix = find_check(cli("doctor", "--json"))["port"]
    assert level == "amber" and fix


def test_a_port_that_our_server_holds_is_green(
    cli: Cli, worker: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours, socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("SOUNDSTAGE_HTTP__PORT", str(ours.getsockname()[1]))
        url = f"http://127.0.0.1:{ours.getsockname()[1]}"
        write_private_file(home / "state", KEY_FILE, "a key")
        with write_local_access(home / "state", url, None):
            check = machine.port(load_settings(None))
            assert check.level == "green" and str(os.getpid()) in check.found
            monkeypatch.setenv("SOUNDSTAGE_HTTP__PORT", str(other.getsockname()[1]))
            assert machine.port(load_settings(None)).level == "amber"


def test_a_database_that_is_none_is_red_and_an_old_one_amber(cli: Cli, worker: Path, home: Path) -> None:
    (home / "state").mkdir()
    (home / "state" / "soundstage.db").touch()
    assert find_check(cli("doctor", "--json"))["database"] == ("amber", "soundstage migrate")
    (home / "state" / "soundstage.db").write_bytes(b"no database at all" * 1000)
    assert find_check(cli("doctor", "--json"))["database"][0] == "red"


def test_a_broken_persona_file_is_amber(cli: Cli, worker: Path, home: Path) -> None:
    (home / "personas" / "bad.yaml").write_text("id: bad\n")
    assert find_check(cli("doctor", "--json"))["personas"][0] == "amber"


def test_it_says_which_sandbox_code_has(cli: Cli, worker: Path) -> None:
    ran = cli("doctor", "--json")
    (sandbox,) = (check for check in ran.json["checks"] if check["name"] == "sandbox")
    assert sandbox["level"] == "green"
    assert re.match(
        r"bubblewrap 0\.\d+\.\d+; code inside gets no namespaces "
        r"\((the kernel|the filter of system calls) refuses",
        sandbox["found"],
    )


def test_without_a_sandbox_it_says_what_to_do(
    cli: Cli, worker: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SentenceSnapshot
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_check(cli("doctor", "--json"))["sandbox"] == (
        "amber",
        snapshot("no_sandbox"),
    )


@pytest.mark.parametrize("command", ["doctor", "nodes"])
def test_commands_that_look_make_no_state_folder_and_name_the_machine(
    cli: Cli, worker: Path, home: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A state folder decides which studio later commands speak to."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    cli(command)
    assert not (home / "state").exists()
    save_login(Login("https://farm.example", "key"))
    for named in ((), ("--server", "https://farm.example")):
        ran = cli(*named, command)
        assert "https://farm.example" in ran.err and "this machine" in ran.err
        assert not (home / "state").exists()
