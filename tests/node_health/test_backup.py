"""The content of a backup is restored: to a real Consul, a real Nomad and a living database.

The copies go through restic into a folder; other places and keys are in test_backup_repository.py.
"""

from __future__ import annotations

import gzip
import json
import os
import pwd
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from backup_error import BackupError
from backup_farm import Backups
from engines import read_snapshot, require_snapshot
from nomad_cluster import NomadAgent, engine_program
from sentences import SentenceSnapshot
from waiting import eventually

pytestmark = pytest.mark.cached("ansible/roles/backup", "tools", "tests/node_health/sentences.json")


class ConsulServer:
    """One server on loopback, with ACLs."""

    def __init__(self, folder: Path) -> None:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
        ports = [int(one.getsockname()[1]) for one in sockets]
        for one in sockets:
            one.close()
        self.address = f"http://127.0.0.1:{ports[0]}"
        self.token = ""
        config = folder / "consul.json"
        names = dict(zip(("http", "server", "serf_lan", "serf_wan"), ports, strict=True))
        config.write_text(
            json.dumps(
                {
                    "server": True,
                    "bootstrap_expect": 1,
                    "bind_addr": "127.0.0.1",
                    "data_dir": str(folder / "data"),
                    "ports": {**names, "dns": -1, "grpc": -1, "grpc_tls": -1},
                    "acl": {"enabled": True, "default_policy": "deny"},
                    "performance": {"raft_multiplier": 1},
                }
            )
        )
        with (folder / "consul.log").open("wb") as log:
            self.process = subprocess.Popen(
                [engine_program("consul"), "agent", "-config-file", config], stdout=log, stderr=log
            )

    def bootstrap(self) -> bool:
        try:
            self.token = json.loads(self.call("PUT", "/v1/acl/bootstrap"))["SecretID"]
        except (OSError, urllib.error.URLError):
            return False
        return True

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            self.address + path, data=body, method=method, headers={"X-Consul-Token": self.token}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())

    def value(self, key: str) -> str | None:
        try:
            return self.call("GET", f"/v1/kv/{key}?raw").decode()
        except urllib.error.HTTPError:
            return None


@pytest.fixture(scope="module")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsulServer]:
    server = ConsulServer(tmp_path_factory.mktemp("consul"))
    try:
        eventually(server.bootstrap, "Consul", 60)
        yield server
    finally:
        server.process.terminate()
        server.process.wait(30)


@pytest.fixture(scope="module")
def nomad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NomadAgent]:
    folder = tmp_path_factory.mktemp("nomad") / "server"
    agent = NomadAgent("server", folder, {"server": {"enabled": True, "bootstrap_expect": 1}})
    agent.start()
    yield agent
    agent.stop()


@pytest.fixture
def backups(tmp_path: Path) -> Backups:
    return Backups(tmp_path)


def test_consuls_state_comes_back(consul: ConsulServer, backups: Backups, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{consul.token}\n")
    backups.config["consul"] = {"address": consul.address, "token_file": str(tmp_path / "token")}
    consul.call("PUT", "/v1/kv/farm/name", b"before")
    # The lost machine whose name this one has: its id would keep the services of this one out.
    lost = {"Node": "control-1", "ID": "b3e3590b-1659-cc4f-5d39-a82edeedab85", "Address": "10.77.0.11"}
    consul.call("PUT", "/v1/catalog/register", json.dumps(lost).encode())
    copy = backups.take()
    consul.call("PUT", "/v1/kv/farm/name", b"after")
    assert backups.run("restore", copy, "consul").returncode == 0
    assert eventually(lambda: consul.value("farm/name") == "before", "the old value", 30)
    nodes = json.loads(consul.call("GET", "/v1/catalog/nodes"))
    assert "control-1" not in {one["Node"] for one in nodes}


def test_a_token_that_may_not_is_told_without_showing_it(
    consul: ConsulServer, backups: Backups, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("00000000-dead-4000-8000-000000000000\n")
    backups.config["consul"] = {"address": consul.address, "token_file": str(tmp_path / "token")}
    done = backups.run("take")
    assert done.returncode == 1
    assert done.stderr.startswith("backup.consul_refused: consul answers 403")
    assert "dead" not in done.stderr
    assert backups.copies() == []


def test_a_copy_waits_for_a_nomad_whose_servers_have_just_changed(nomad: NomadAgent) -> None:
    """Answers as Raft does then, before a real Nomad: it takes a snapshot after its next write."""
    refused: list[str] = []

    class Changed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if len(refused) < 2 or not refused[-1].startswith("PUT"):
                refused.append(f"GET {self.path}")
                self.send_error(500, explain="Raft error: cannot take snapshot now, wait until")
            else:
                self._pass_on()

        def do_PUT(self) -> None:
            refused.append(f"PUT {self.path}")
            self._pass_on()

        def _pass_on(self) -> None:
            request = urllib.request.Request(nomad.address + self.path, method=self.command)
            with urllib.request.urlopen(request, timeout=30) as answer:
                content = answer.read()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Changed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        content = read_snapshot("nomad", {"address": f"http://127.0.0.1:{server.server_port}"})
        server.shutdown()
    require_snapshot(content, "the copy")
    assert refused == ["GET /v1/operator/snapshot", "PUT /v1/system/reconcile/summaries"]


def test_nomads_state_comes_back(nomad: NomadAgent, backups: Backups) -> None:
    backups.config["nomad"] = {"address": nomad.address}

    def put(value: str) -> bool:
        try:
            nomad.put("/v1/var/farm", {"Namespace": "default", "Path": "farm", "Items": {"name": value}})
        except urllib.error.HTTPError:
            return False  # a server that has just started has no key yet
        return True

    eventually(lambda: put("before"), "Nomad's keyring", 30)
    copy = backups.take()
    nomad.delete("/v1/var/farm")
    assert backups.run("restore", copy, "nomad").returncode == 0

    def value() -> str | None:
        try:
            found: str = nomad.get("/v1/var/farm")["Items"]["name"]
        except urllib.error.HTTPError:
            return None
        return found

    assert eventually(lambda: value() == "before", "the old value", 30)


def test_a_living_sqlite_database_comes_back_with_its_owner_and_mode(
    backups: Backups, tmp_path: Path
) -> None:
    file = tmp_path / "studio.sqlite"
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE persona (name TEXT)")
    database.execute("INSERT INTO persona VALUES ('nova')")
    database.commit()  # and left open: the copy is made of a living database
    file.chmod(0o640)
    backups.config["databases"] = [{"name": "studio", "kind": "sqlite", "path": str(file)}]
    copy = backups.take()
    database.execute("DELETE FROM persona")
    database.commit()
    database.close()
    assert backups.run("restore", copy, "studio").returncode == 0
    assert sqlite3.connect(file).execute("SELECT name FROM persona").fetchall() == [("nova",)]
    assert file.stat().st_mode & 0o777 == 0o640


def database_of(folder: Path) -> Path:
    file = folder / "machines.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE machine (name TEXT)")
    return file


def test_a_database_that_was_lost_comes_back_as_its_folders_owners_alone(
    backups: Backups, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    file = database_of(folder)
    backups.config["databases"] = [{"name": "machines", "kind": "sqlite", "path": str(file)}]
    copy = backups.take()
    file.unlink()
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    assert backups.run("restore", copy, "machines").returncode == 0
    state = file.stat()
    assert (state.st_uid, state.st_gid) == (folder.stat().st_uid, folder.stat().st_gid)
    assert state.st_mode & 0o777 == 0o600


def test_what_a_database_needs_after_a_restore_is_run_and_its_failure_is_said(
    backups: Backups, tmp_path: Path
) -> None:
    file = database_of(tmp_path)
    closes = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE closed (at TEXT)')"
    database = {"name": "machines", "kind": "sqlite", "path": str(file)}
    backups.config["databases"] = [{**database, "after_restore": [sys.executable, "-c", closes, str(file)]}]
    copy = backups.take()
    done = backups.run("restore", copy, "machines")
    assert done.returncode == 0, done.stderr
    assert sqlite3.connect(file).execute("SELECT * FROM closed").fetchall() == []
    for fails in ([sys.executable, "-c", "raise SystemExit('no key')"], ["/no/such/program"]):
        backups.config["databases"] = [{**database, "after_restore": fails}]
        done = backups.run("restore", copy, "machines")
        assert (done.returncode, done.stderr.partition(":")[0]) == (1, "backup.not_finished")
        assert "may not be used yet" in done.stderr


@pytest.mark.parametrize("state", ["active", "activating", "inactive"])
def test_nothing_is_restored_under_a_service_that_runs(
    backups: Backups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, snapshot: SentenceSnapshot
) -> None:
    """systemd itself is tried by Molecule; here stands what it says of a unit."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "is-active -- machines.service" ] && echo {state}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    file = database_of(tmp_path)
    database = {"name": "machines", "kind": "sqlite", "path": str(file), "used_by": ["machines.service"]}
    backups.config["databases"] = [database]
    copy = backups.take()
    sqlite3.connect(file).execute("CREATE TABLE since (at TEXT)")
    done = backups.run("restore", copy, "machines")
    tables = {name for (name,) in sqlite3.connect(file).execute("SELECT name FROM sqlite_master")}
    if state == "inactive":
        assert done.returncode == 0 and "since" not in tables, done.stderr
    else:
        assert done.stderr.strip() == snapshot("service_runs")
        assert "since" in tables


def test_a_folder_of_keys_comes_back_as_it_was_and_what_came_later_goes(
    backups: Backups, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    (keys / "ssh").mkdir(parents=True, mode=0o700)
    (keys / "ssh" / "ca").write_text("the authority of all machines")
    (keys / "ssh" / "ca").chmod(0o600)
    backups.config["databases"] = [{"name": "keys", "kind": "folder", "path": str(keys)}]
    copy = backups.take()
    (keys / "ssh" / "ca").unlink()
    (keys / "later").write_text("made after the copy")
    assert backups.run("restore", copy, "keys").returncode == 0
    assert (keys / "ssh" / "ca").read_text() == "the authority of all machines"
    assert (keys / "ssh" / "ca").stat().st_mode & 0o777 == 0o600
    assert not (keys / "later").exists()


def test_some_files_of_a_folder_come_back_beside_the_others(backups: Backups, tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "personas").mkdir(parents=True)
    (state / "personas" / "nova.yaml").write_text("id: nova")
    (state / "session.key").write_text("old")
    (state / "session.key").chmod(0o600)
    part = {"name": "keys", "kind": "files", "path": str(state)}
    backups.config["databases"] = [{**part, "files": ["session.key", "seal.key", "personas"]}]
    copy = backups.take()
    (state / "session.key").write_text("new")
    (state / "personas" / "nova.yaml").unlink()
    (state / "videos").mkdir()
    done = backups.run("restore", copy, "keys")
    assert done.returncode == 0, done.stderr
    assert (state / "session.key").read_text() == "old"
    assert (state / "session.key").stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in state.iterdir()) == ["personas", "session.key", "videos"]
    assert (state / "personas" / "nova.yaml").exists()


def test_what_comes_later_is_left_out_until_it_was_there_once(backups: Backups, tmp_path: Path) -> None:
    part = {"name": "agent", "kind": "sqlite", "path": str(tmp_path / "machines.sqlite")}
    backups.config["databases"] = [{**part, "may_come_later": True}]
    assert "agent.dump" not in backups.files(backups.take())
    file = database_of(tmp_path)
    assert "agent.dump" in backups.files(backups.take())
    file.unlink()
    done = backups.run("take")
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "backup.database_failed")


def test_nothing_is_restored_under_a_user_that_runs_something(
    backups: Backups, tmp_path: Path, snapshot: SentenceSnapshot
) -> None:
    file = database_of(tmp_path)
    user = pwd.getpwuid(os.getuid()).pw_name
    part = {"name": "agent", "kind": "sqlite", "path": str(file)}
    backups.config["databases"] = [{**part, "used_by_user": user, "stop": "nomad job stop agent"}]
    done = backups.run("restore", backups.take(), "agent")
    assert done.stderr.strip() == snapshot("user_runs", user=user)
    backups.config["databases"][0]["used_by_user"] = "nobody-of-this-name"
    assert backups.run("restore", backups.copies()[-1], "agent").returncode == 0


def test_an_answer_that_is_no_snapshot_is_not_kept() -> None:
    for content in (b"", b"<html>", gzip.compress(b"not a tar file")):
        with pytest.raises(BackupError, match="is no snapshot"):
            require_snapshot(content, "What Nomad sent")


def test_two_at_once_make_two_copies(backups: Backups) -> None:
    both = [backups.start("take") for _ in range(2)]
    assert [(one.communicate(timeout=120)[1], one.returncode) for one in both] == [("", 0), ("", 0)]
    assert len(backups.copies()) == 2


def test_a_silent_nomad_is_reported_and_leaves_nothing(backups: Backups) -> None:
    backups.config["nomad"] = {"address": "http://127.0.0.1:9"}
    done = backups.run("take")
    assert done.returncode == 1
    assert done.stderr.startswith("backup.nomad_silent: nomad does not answer")
    assert backups.copies() == []
    assert not (backups.state / "copy").exists()
