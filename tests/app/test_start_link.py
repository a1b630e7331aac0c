"""What `soundstage up` prints at a terminal and elsewhere, and the links of `soundstage open`."""

from __future__ import annotations

import os
import pty
import re
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.server.start_link import StartLink, open_in_browser
from soundstage.database import utcnow
from soundstage.settings import Settings

PROGRAM = Path(sys.executable).with_name("soundstage")
PATIENCE_S = 400.0
# No display: whatever browser is installed here stays shut.
PLACE = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
VARIABLES = {"SOUNDSTAGE_HTTP__PORT": "0", "SOUNDSTAGE_PROVISIONING__ENABLED": "false", "COLUMNS": "200"}


@contextmanager
def at_a_terminal(*arguments: str) -> Iterator[int]:
    """The descriptor from which the program's output can be read."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, *arguments], env={**PLACE, **VARIABLES}, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        yield ours
    finally:
        process.terminate()
        process.wait(60)
        os.close(ours)


def read_until(descriptor: int, pattern: str) -> str:
    text, deadline = "", time.monotonic() + PATIENCE_S
    while not re.search(pattern, text):
        assert time.monotonic() < deadline, text
        if select.select([descriptor], [], [], 1)[0]:
            text += os.read(descriptor, 65536).decode(errors="replace")
    return text


def start(link: str) -> httpx.Response:
    base, _, token = link.partition("/#/start/")
    return httpx.post(f"{base}/api/login/start", json={"token": token}, timeout=PATIENCE_S, trust_env=False)


def test_a_terminal_shows_key_and_link_and_open_makes_another(home: Path, cli: Any) -> None:
    with at_a_terminal("up", "--no-browser") as terminal:
        shown = read_until(terminal, r"/#/start/\S+\s")
        key = re.search(r"\b[0-9a-f]{64}\b", shown)
        assert key is not None and "shown only now" in shown
        assert not (home / "state" / "local" / "admin-key").exists()
        link = re.search(r"http://\S+/#/start/\S+", shown)
        assert link is not None
        assert start(link.group()).json()["name"] == "this machine"
        assert start(link.group()).json()["code"] == "login.link_used"
        created = cli("open", "--json").json["url"]
        assert created != link.group() and start(created).status_code == 200
        assert stat.S_IMODE((home / "state" / "local" / "server.json").stat().st_mode) == 0o600
    assert not (home / "state" / "local" / "server.json").exists()
    refused = cli("open")
    assert refused.code == 1 and "server.not_running" in refused.err and "soundstage up" in refused.err


def test_output_that_may_be_stored_holds_neither_key_nor_link(home: Path) -> None:
    with (home / "out.log").open("w") as log:
        process = subprocess.Popen([PROGRAM, "up"], env={**PLACE, **VARIABLES}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while "soundstage open" not in (text := (home / "out.log").read_text()):
            assert process.poll() is None and time.monotonic() < deadline, text
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(60)
    file = home / "state" / "local" / "admin-key"
    assert str(file) in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text()) == 64
    assert file.read_text() not in text and "/start/" not in text
    assert not re.search(r"\b[0-9a-f]{64}\b", text)


@pytest.mark.parametrize("display", [True, False])
def test_a_browser_is_given_a_private_file_and_not_the_link(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, display: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: bool(opened.append(url)) or True)
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", ":9")
    link = StartLink('http://127.0.0.1:8000/#/start/a"b', utcnow())
    assert open_in_browser(settings.state_dir, link) is display
    if display:
        [url] = opened
        path = Path(url.removeprefix("file://"))
        assert "start" not in url and stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "/#/start/a&quot;b" in path.read_text()


def test_without_a_terminal_no_browser_is_opened(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setattr("webbrowser.open", lambda url: pytest.fail("it was opened"))
    assert open_in_browser(settings.state_dir, StartLink("http://x/#/start/a", utcnow())) is False
