"""Commands speak to the server that runs or is named; where none does, to the state of their own folder."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from running_studio import PATIENCE_S, PROGRAM, RunningStudio, running_studio
from sentences import SentenceSnapshot

from app.cli import connection
from app.cli.saved_logins import Login, load_logins, logins_file, normalize_url, save_login
from app.local_access import local_folder, read_local_access
from soundstage.errors import Forbidden, Invalid

Cli = Callable[..., Any]
STAND_IN = Path(__file__).parents[1] / "farm" / "stand_in.py"


@pytest.fixture(autouse=True)
def _no_logins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def studio(home: Path) -> Iterator[RunningStudio]:
    """A server whose videos are made by the stand-in of the worker."""
    command = [sys.executable, "-I", "-S", str(STAND_IN)]
    (home / "config.toml").write_text(f"[worker]\ncommand = {command!r}\n")
    with running_studio(home) as running:
        yield running


@pytest.fixture
def never_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening the store in this process is a failure."""

    def is_open(*_: object) -> None:
        raise AssertionError("the command opened the store behind the server's back")

    monkeypatch.setattr("app.composition.build", is_open)


@pytest.mark.usefixtures("never_embedded")
def test_where_a_server_runs_every_command_goes_through_it(
    cli: Cli, studio: RunningStudio, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slug = cli("projects", "create", "My Film", "--json").json["slug"]
    assert cli("projects", "list").out.splitlines()[1].startswith(slug)
    render = cli("render", "--script", "Hello there", "--no-wait", "--json").json["id"]
    assert render in cli("ask", "list my videos").out
    assert cli("explain", render).code == 0
    created = cli("keys", "create", "ci", "--role", "viewer", "--json").json
    assert "this machine" in cli("keys", "list").out
    assert (
        cli("memory", "list").code
        == cli("snapshots", "list").code
        == cli("triggers", "list").code
        == cli("audit", "verify").code
        == 0
    )
    assert cli("personas", "list").code == cli("approvals", "list").code == cli("publish", "list").code == 0
    assert cli("webhooks", "list").code == cli("voices", "list").code == cli("experts").code == 0
    assert cli("gc", "--dry-run").code == 0
    # What needs the store for itself says so, and whom to stop.
    for alone in (("migrate",), ("restore", "x.tar"), ("restore", "--finish")):
        refused = cli(*alone, "--json")
        assert (refused.code, refused.json["code"]) == (1, "server.running"), alone
        assert f"kill {studio.process.pid}" in refused.json["hint"]
    # A backup comes from the server; the private keys from the folder, and only where it is.
    assert cli("backup", "whole.tar", "--with-keys").code == 0
    with tarfile.open(home / "whole.tar") as whole:
        names = whole.getnames()
    assert {"database.sqlite", "keys/studio/audit.key"} <= set(names) and names[-1] == "manifest.json"
    assert names.count("manifest.json") == 1 and stat.S_IMODE((home / "whole.tar").stat().st_mode) == 0o600
    found = {check["name"]: check for check in cli("doctor", "--json").json["checks"]}
    assert (found["database"]["level"], found["personas"]["found"]) == ("green", "nova"), found
    # A named server needs a key of its own, though it is the same one.
    unknown = cli("--server", studio.url, "projects", "list", "--json")
    assert (
        unknown.json["code"] == "login.required" and f"soundstage login {studio.url}" in unknown.json["hint"]
    )
    (home / "key").write_text(created["key"])
    text = cli("login", studio.url, "--key-file", "key", "--json")
    assert text.json == {"url": studio.url, "name": "ci", "role": "viewer", "tenant": "default"}
    assert stat.S_IMODE(logins_file().stat().st_mode) == 0o600 and created["key"] not in text.out
    monkeypatch.setenv("SOUNDSTAGE_SERVER", studio.url)
    assert slug in cli("projects", "list").out
    forbidden = cli("projects", "create", "Another", "--json")
    assert forbidden.json["code"] == "policy.forbidden", "the rights are those of the key"
    assert cli("backup", "viewer.tar", "--json").json["code"] == "policy.forbidden"
    assert cli("backup", "far.tar", "--with-keys", "--json").json["code"] == "backup.keys_stay"
    assert not list(home.glob("viewer.tar*")) and not list(home.glob("far.tar*"))
    assert cli("logout", studio.url).code == 0 and load_logins() == []


@pytest.mark.usefixtures("never_embedded")
def test_a_login_is_used_where_no_studio_is_and_a_wrong_key_is_refused(
    cli: Cli, studio: RunningStudio, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "wrong").write_text("0" * 64)
    assert cli("login", studio.url, "--key-file", "wrong", "--json").json["code"] == "auth.bad_key"
    assert load_logins() == []
    (home / "key").write_text(studio.admin_key)
    assert cli("login", studio.url, "--key-file", "key").code == 0
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert cli("projects", "create", "Far away").code == 0
    assert not (elsewhere / "state").exists()
    key_id = cli("keys", "list", "--json").json[0]["id"]
    assert cli("keys", "revoke", key_id).code == 0
    ended = cli("projects", "list", "--json").json
    assert ended["code"] == "auth.bad_key" and ended["hint"].startswith(f"`soundstage login {studio.url}`")


def test_a_file_of_this_machine_reaches_a_server_that_cannot_read_it(
    cli: Cli, studio: RunningStudio, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a folder of which the server knows nothing: the spec's sound, and the picture of a sentence."""
    console = home / "desk"
    console.mkdir()
    monkeypatch.chdir(console)
    (console / "config.toml").write_text(f'state_dir = "{home / "state"}"\n')
    (console / "voice.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(64))
    (console / "one.json").write_text(json.dumps({"scenes": [{"id": "one", "audio": {"path": "voice.wav"}}]}))
    created = cli("render", "one.json", "--no-wait", "--json")
    assert created.code == 0, created.err
    (console / "ada.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(300))
    sentence = (
        "Create a persona called Ada from photo ada.jpg with the consent of Ada Byron for training videos"
    )
    planned = cli("ask", "--dry-run", sentence)
    assert planned.code == 0, planned.out + planned.err
    assert "with the face of: ast_" in planned.out and "path_not_allowed" not in planned.out + planned.err


def test_a_server_that_dies_while_it_answers_is_an_error_that_says_so(cli: Cli, home: Path) -> None:
    with _HalfAnswer() as url:
        save_login(Login(url, "k" * 64))
        ran = cli("--server", url, "ask", "list my videos", "--json")
    assert ran.code == 1
    ended = json.loads(ran.out.splitlines()[-1])
    assert ended["code"] == "server.answer_broke_off" and url in ended["message"]
    gone = cli("--server", url, "projects", "list", "--json")
    assert gone.json["code"] == "server.unreachable" and "soundstage up" in gone.json["hint"]


def test_what_is_left_of_a_server_that_was_killed_does_not_count(
    cli: Cli, home: Path, snapshot: SentenceSnapshot
) -> None:
    with running_studio(home) as studio:
        assert read_local_access(home / "state") is not None
        server = int(
            Path(f"/proc/{studio.process.pid}/task/{studio.process.pid}/children").read_text().split()[0]
        )
        studio.process.send_signal(signal.SIGKILL)
        studio.process.wait()
        _until_gone(server)
    assert (local_folder(home / "state") / "server.json").exists()
    assert cli("projects", "list").out.strip() == snapshot("no_projects")


def test_two_commands_at_once_without_a_server_both_do_their_work(cli: Cli, home: Path) -> None:
    def create(title: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, "projects", "create", title, "--json"],
            cwd=home,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    with ThreadPoolExecutor() as both:
        ended = list(both.map(create, ["One", "Two"]))
    assert [one.returncode for one in ended] == [0, 0], [one.stderr + one.stdout for one in ended]
    listed = cli("projects", "list").out
    assert "One" in listed and "Two" in listed


def test_the_state_of_somebody_else_is_not_opened(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "state").mkdir()
    monkeypatch.setattr(connection.os, "geteuid", lambda: os.getuid() + 1)
    for command in (("projects", "list"), ("migrate",), ("backup", "x.tar"), ("gc",), ("mcp",)):
        refused = cli("--json", *command)
        assert (refused.code, refused.json["code"]) == (1, "state.not_yours"), command
        assert "soundstage up" in refused.json["hint"] and "soundstage login" in refused.json["hint"]
    assert list((home / "state").iterdir()) == []


def test_a_key_goes_over_plain_http_to_another_machine_only_when_told(cli: Cli, home: Path) -> None:
    (home / "key").write_text("k" * 64)
    refused = cli("login", "http://studio.example:8000", "--key-file", "key", "--json").json
    assert refused["code"] == "server.plain_http" and "--allow-plain-http" in refused["hint"]
    # One that was saved by hand is no way around it.
    save_login(Login("http://studio.example:8000", "k" * 64))
    assert cli("--server", "http://studio.example:8000", "projects", "list", "--json").json["code"] == (
        "server.plain_http"
    )


def test_saved_keys_that_others_can_read_are_not_used(cli: Cli) -> None:
    save_login(Login("https://studio.example", "k" * 64))
    assert stat.S_IMODE(logins_file().parent.stat().st_mode) == 0o700
    logins_file().chmod(0o644)
    with pytest.raises(Forbidden, match="others on this machine"):
        load_logins()


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("studio.example.org", "https://studio.example.org"),
        ("https://Studio.example.org:443/", "https://studio.example.org"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_one_server_has_one_address(value: str, meant: str) -> None:
    assert normalize_url(value) == meant


@pytest.mark.parametrize("value", ["", "ftp://x", "https://", "https://me:pw@host", "http://h:port"])
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(Invalid, match="no address"):
        normalize_url(value)


class _HalfAnswer:
    """A server that begins to answer and goes away."""

    def __enter__(self) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                event = b'event: turn\r\ndata: {"type":"turn","session_id":"ses_1","turn":1}\r\n\r\n'
                self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
                self.wfile.flush()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _until_gone(pid: int) -> None:
    """A server ends by itself when its supervisor is gone."""
    subprocess.run(["tail", f"--pid={pid}", "-f", "/dev/null"], timeout=PATIENCE_S, check=True)


@pytest.mark.usefixtures("never_embedded")
def test_a_channel_is_connected_from_the_prompt_through_the_server(cli: Cli, home: Path) -> None:
    with running_studio(home, SOUNDSTAGE_YOUTUBE__CLIENT_ID="client-1") as studio:
        page = cli("publish", "connect")
        assert (page.code, page.out.count("\n")) == (0, 1), page.err
        query = parse_qs(urlsplit(page.out.strip()).query)
        assert query["redirect_uri"] == [f"{studio.url}/youtube/callback"]
        assert "publishing.account_not_found" in cli("publish", "disconnect", "acc_none").err
