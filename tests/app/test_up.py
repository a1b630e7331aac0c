"""`soundstage up` as people run it: one supervisor, one server, an admin key once, a good end."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import waiting
from local_login import local_headers

PROGRAM = Path(sys.executable).with_name("soundstage")
PATIENCE_S = 120.0
eventually = partial(waiting.eventually, within_s=PATIENCE_S)


@pytest.fixture
def up(home: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts servers on free ports; whatever is left of them at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [PROGRAM, "up", "--json"],
            env={**os.environ, "SOUNDSTAGE_HTTP__PORT": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def lines_until_ready(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    assert process.stdout is not None
    found: list[dict[str, Any]] = []
    for line in process.stdout:
        found.append(json.loads(line))
        if found[-1]["event"] == "ready":
            return found
    raise AssertionError(f"ended before it was ready: {found}")


def child_of(process: subprocess.Popen[str], module: str = "app.server") -> int:
    """The server process, or that of provisioning."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    named = [pid for pid in children if module in Path(f"/proc/{pid}/cmdline").read_text().split("\0")]
    assert len(named) == 1
    return int(named[0])


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/health", timeout=PATIENCE_S, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def test_a_killed_server_comes_back_and_sigterm_ends_both_in_good_order(up: Callable[[], Any]) -> None:
    process = up()
    key, ready = lines_until_ready(process)
    assert key["event"] == "admin_key"
    with httpx.Client(base_url=ready["url"], trust_env=False, timeout=PATIENCE_S) as client:
        first = Path(key["key_file"]).read_text()
        me = client.get("/api/me", headers={"Authorization": f"Bearer {first}"}).json()
        assert me["role"] == "admin"
    server = child_of(process)
    os.kill(server, signal.SIGKILL)
    eventually(lambda: healthy(ready["url"]))
    assert child_of(process) != server

    server = child_of(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert not alive(server)
    assert not healthy(ready["url"])


def test_both_processes_come_back_and_the_first_key_is_good_for_both(up: Callable[[], Any]) -> None:
    process = up()
    key, ready = lines_until_ready(process)
    provisioning = child_of(process, "app.provisioning_server")
    headers = {"Authorization": f"Bearer {Path(key['key_file']).read_text()}"}
    machines = f"{ready['provisioning_url']}/api/machines"
    assert httpx.get(machines, headers=headers, timeout=PATIENCE_S, trust_env=False).json() == []
    os.kill(provisioning, signal.SIGKILL)
    eventually(lambda: healthy(ready["provisioning_url"]))
    assert child_of(process, "app.provisioning_server") != provisioning

    provisioning = child_of(process, "app.provisioning_server")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert not alive(provisioning)


def test_the_key_is_shown_at_the_first_start_only_and_no_server_outlives_its_supervisor(
    up: Callable[[], Any],
) -> None:
    first = up()
    assert [line["event"] for line in lines_until_ready(first)] == ["admin_key", "ready"]
    server = child_of(first)
    first.kill()
    first.wait()
    eventually(lambda: not alive(server))

    second = up()
    assert [line["event"] for line in lines_until_ready(second)] == ["ready"]


def test_the_server_asks_the_provisioning_process_on_whatever_port_it_has_got(
    up: Callable[[], subprocess.Popen[str]],
) -> None:
    ready = lines_until_ready(up())[-1]
    answer = httpx.get(
        f"{ready['url']}/api/farm/machines",
        headers=local_headers(Path("state")),
        timeout=PATIENCE_S,
        trust_env=False,
    )
    assert (answer.status_code, answer.json()) == (200, [])


def test_what_fails_before_the_server_can_serve_is_the_answer_of_up(
    up: Callable[[], subprocess.Popen[str]],
) -> None:
    """The server process prepares the databases, and the supervisor tells what was wrong with them."""
    first = up()
    lines_until_ready(first)
    first.terminate()
    first.wait(PATIENCE_S)
    with sqlite3.connect(Path("state") / "soundstage.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    second = up()
    answer = json.loads(second.communicate(timeout=PATIENCE_S)[0])
    assert (answer["code"], answer["status"]) == ("database.too_new", 409), answer
    assert second.returncode == 1
