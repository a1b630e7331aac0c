"""What an enrolled machine does before its agents start: it uses what its enrolment brought, and asks a real
API of a real Consul for what is missing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import consul_server
import httpx
import pytest
from ramdisk import Ramdisk
from real_server import RealServer, running_server

PROGRAM = Path(__file__).parents[2] / "ansible/roles/farm/files/engine_identity.py"
pytestmark = pytest.mark.root


@pytest.fixture(autouse=True)
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("the program runs as root, and gives files to their readers: sudo make test")


@asynccontextmanager
async def enrolled(server: RealServer, folder: Path) -> AsyncIterator[dict[str, Any]]:
    """A machine `node1`, with what its deploy agent would keep in `folder`."""
    async with httpx.AsyncClient(
        base_url=server.url, headers=server.headers, timeout=60, trust_env=False
    ) as operator:
        ca = (await operator.get("/api/ca.pem")).text
        trust = ssl.create_default_context(cadata=ca)
        async with httpx.AsyncClient(
            base_url=server.tls_url, verify=trust, timeout=60, trust_env=False
        ) as machine:
            ramdisk = Ramdisk(machine)
            (await ramdisk.discover()).raise_for_status()
            accepted = await operator.post(
                f"/api/machines/{ramdisk.machine_id}/accept", json={"name": "node1", "code": ramdisk.code}
            )
            accepted.raise_for_status()
            member = (await ramdisk.enrol(await ramdisk.token())).raise_for_status().json()
        home = {"api": server.tls_url, "name": "node1", "token": member["call_home_token"]}
        await asyncio.to_thread(keep, folder, ca, home, member)
        yield member


def keep(folder: Path, ca: str, home: dict[str, Any], member: dict[str, Any]) -> None:
    folder.mkdir()
    (folder / "ca.pem").write_text(ca)
    (folder / "call-home.json").write_text(json.dumps(home))
    request = {name: member[name] for name in ("machine_id", "nomad", "consul")}
    (folder / "engines.json").write_text(json.dumps(request))


async def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(PROGRAM), "--enrolment", str(folder), *words]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120)


def settings_of(tmp_path: Path, consul: consul_server.Consul) -> dict[str, str]:
    (tmp_path / "consul.token").write_text(consul.token)
    return {
        "SOUNDSTAGE_STATE_DIR": str(tmp_path / "state"),
        "SOUNDSTAGE_PROVISIONING__CONSUL_ADDRESS": consul.server.url,
        "SOUNDSTAGE_PROVISIONING__CONSUL_TOKEN_FILE": str(tmp_path / "consul.token"),
    }


async def test_consul_gets_the_token_of_the_enrolment_and_a_retired_machine_gets_none(tmp_path: Path) -> None:
    folder, config = tmp_path / "enrolment", tmp_path / "enrolled.json"
    words = ("consul", "--config", str(config), "--group", "root")
    with (
        consul_server.running_consul(tmp_path / "consul") as consul,
        running_server(tmp_path, settings_of(tmp_path, consul)) as server,
    ):
        async with enrolled(server, folder) as member:
            done = await run(folder, *words)
            assert done.returncode == 0, done.stderr
            tokens = json.loads(config.read_text())["acl"]["tokens"]
            assert tokens == dict.fromkeys(("agent", "dns"), member["consul"]["agent_token"])
            assert config.stat().st_mode & 0o777 == 0o640

            engines = json.loads((folder / "engines.json").read_text())
            engines["consul"]["agent_token"] = None
            (folder / "engines.json").write_text(json.dumps(engines))
            done = await run(folder, *words)
            assert done.returncode == 0, done.stderr
            another = json.loads(config.read_text())["acl"]["tokens"]["agent"]
            assert another != member["consul"]["agent_token"] and consul.knows(another)
            stored = json.loads((folder / "engines.json").read_text())
            assert (stored["consul"]["agent_token"], stored["machine_id"]) == (another, member["machine_id"])
            assert (folder / "engines.json").stat().st_mode & 0o777 == 0o600

            # No Nomad is known here: its agent starts all the same.
            nomad = (
                "nomad",
                "--client-dir",
                str(tmp_path / "client"),
                "--config",
                str(tmp_path / "nomad.json"),
            )
            done = await run(folder, *nomad)
            assert (done.returncode, done.stderr.partition(":")[0]) == (0, "nomad.no_introduction")
            assert json.loads((tmp_path / "nomad.json").read_text()) == {"consul": {"token": another}}

            async with httpx.AsyncClient(
                base_url=server.url, headers=server.headers, timeout=60, trust_env=False
            ) as operator:
                request = {"confirm": "node1", "wipe": False}
                (await operator.post("/api/machines/node1/retire", json=request)).raise_for_status()
            (folder / "engines.json").write_text(json.dumps(engines))
            done = await run(folder, *words)
            assert done.returncode == 1
            assert done.stderr.startswith("consul.no_identity: ") and "machine.bad_token" in done.stderr


def introduction(ends: float) -> str:
    body = base64.urlsafe_b64encode(json.dumps({"exp": ends}).encode()).decode().rstrip("=")
    return f"header.{body}.signature"


async def test_an_introduction_that_has_ended_is_not_shown_and_a_client_that_runs_without_one_needs_none(
    tmp_path: Path,
) -> None:
    folder, client = tmp_path / "enrolment", tmp_path / "client"
    nobody = {"api": "https://127.0.0.1:9", "token": "x"}
    member: dict[str, Any] = {"machine_id": "mch_1", "consul": {}, "nomad": {}}
    keep(folder, "", nobody, member)
    for ends, shown in ((4e9, True), (1.0, False)):
        member["nomad"] = {"introduction_token": introduction(ends)}
        (folder / "engines.json").write_text(json.dumps(member))
        (client / "intro_token.jwt").unlink(missing_ok=True)
        done = await run(folder, "nomad", "--client-dir", str(client))
        assert done.returncode == 0
        assert (client / "intro_token.jwt").exists() is shown, done.stderr
    (client / "state.db").touch()
    done = await run(folder, "nomad", "--client-dir", str(client))
    assert (done.returncode, done.stderr) == (0, "")
    # It was introduced once, and nobody knows whether in time: another one is asked for.
    (client / "intro_token.jwt").write_text(introduction(1.0))
    done = await run(folder, "nomad", "--client-dir", str(client))
    assert done.returncode == 0 and "nomad.no_introduction" in done.stderr


@pytest.mark.parametrize("content", ["", "[]", "{", None], ids=["empty", "no object", "cut off", "not there"])
async def test_a_damaged_enrolment_is_said_in_a_sentence(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "engines.json").write_text(content)
    done = await run(tmp_path, "consul", "--config", str(tmp_path / "made.json"), "--group", "root")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith(f"consul.no_identity: {tmp_path}/engines.json ")
    assert not (tmp_path / "made.json").exists()
