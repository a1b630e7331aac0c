"""Allowed commands on a real sshd: what they say, how long they may take, and which host is believed."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from ramdisk import Ramdisk
from sshd_server import Sshd

from provisioning_api.commands.service import AllowList
from provisioning_api.commands.ssh import Ran, Target, run_command
from soundstage.errors import SoundstageError
from soundstage.settings import Settings


@pytest.fixture
async def member(
    operator: httpx.AsyncClient, machine_client: httpx.AsyncClient, sshd: Sshd
) -> dict[str, Any]:
    """An enrolled machine whose sshd is up."""
    ramdisk = Ramdisk(machine_client, address="127.0.0.1", host_key=sshd.host_key)
    await ramdisk.discover()
    await operator.post(
        f"/api/machines/{ramdisk.machine_id}/accept", json={"name": "node1", "code": ramdisk.code}
    )
    await operator.patch("/api/machines/node1", json={"ssh_port": sshd.port})
    got: dict[str, Any] = (await ramdisk.enrol(await ramdisk.token())).raise_for_status().json()
    sshd.trust(got["host_certificate"], got["user_ca"])
    sshd.start()
    return got


async def test_an_allowed_command_runs_as_the_user_and_is_recorded(
    operator: httpx.AsyncClient, member: dict[str, Any], sshd: Sshd
) -> None:
    answer = await operator.post("/api/machines/node1/commands", json={"argv": ["uname", "-a"]})
    found = answer.raise_for_status().json()
    assert found["output"].startswith("Linux") and found["exit_code"] == 0
    assert "soundstage command by this machine" in sshd.log
    last = (await operator.get("/api/audit", params={"limit": 1000})).json()[-1]
    assert (last["action"], last["data"]["argv"]) == ("command.ran", ["uname", "-a"])


async def test_the_code_of_a_command_that_fails_is_told(
    operator: httpx.AsyncClient, member: dict[str, Any]
) -> None:
    argv = ["systemctl", "status", "--no-pager", "no-such-unit.service"]
    found = (await operator.post("/api/machines/node1/commands", json={"argv": argv})).json()
    assert found["exit_code"] not in (0, None)


async def test_a_machine_that_shows_another_host_key_is_not_believed(
    operator: httpx.AsyncClient, member: dict[str, Any], sshd: Sshd
) -> None:
    sshd.stop()
    for name in ("host_key", "host_key.pub", "host_key-cert.pub"):
        (sshd.folder / name).unlink()
    sshd.make_key()
    sshd.start()
    answer = await operator.post("/api/machines/node1/commands", json={"argv": ["uptime"]})
    assert (answer.status_code, answer.json()["code"]) == (502, "command.no_connection")
    assert "another host key" in answer.json()["detail"]


def on(app: FastAPI, sshd: Sshd, settings: Settings, argv: list[str], **limits: Any) -> Ran:
    """Past the allow-list, to see the limits."""
    key, user = Ed25519PrivateKey.generate(), settings.provisioning.ssh_user
    certificate = app.state.provisioning.ssh.user_certificate(
        key.public_key(), secrets.randbits(60), "test", user, timedelta(minutes=5)
    )
    target = Target("node1", "127.0.0.1", sshd.port, user, sshd.host_key)
    return run_command(target, argv, key, certificate, **{"timeout_s": 60.0, "limit": 1000, **limits})


async def test_a_command_that_takes_too_long_is_ended(
    app: FastAPI, member: dict[str, Any], sshd: Sshd, settings: Settings
) -> None:
    ran = on(app, sshd, settings, ["sleep", "600"], timeout_s=1.0)
    assert ran.exit_code is None and ran.seconds < 300


async def test_output_is_cut_at_the_limit_and_says_so(
    app: FastAPI, member: dict[str, Any], sshd: Sshd, settings: Settings
) -> None:
    ran = on(app, sshd, settings, ["seq", "100000"])
    assert (len(ran.output), ran.truncated, ran.exit_code) == (1000, True, 0)


async def test_words_reach_the_machine_as_words(
    app: FastAPI, member: dict[str, Any], sshd: Sshd, settings: Settings
) -> None:
    assert on(app, sshd, settings, ["echo", "$(id)", "a b", ";", "`id`"]).output == "$(id) a b ; `id`\n"


async def test_a_machine_that_is_no_member_runs_nothing(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await ramdisk.discover()
    answer = await operator.post(f"/api/machines/{ramdisk.name}/commands", json={"argv": ["uptime"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "command.not_a_member")


def test_every_command_on_the_list_says_what_it_is_for() -> None:
    commands = AllowList.default().commands
    assert len(commands) > 10
    assert all(command.sentence.endswith(".") for command in commands)
    with pytest.raises(SoundstageError):
        AllowList.default().check([])
