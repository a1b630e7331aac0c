"""A whole provisioning process over a real database; machines speak to it as they would from outside."""

from __future__ import annotations

import getpass
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))
sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from functools import partial

import local_login
import real_server
import redfish_emulator
import sshd_server
import waiting
from database_templates import database_templates  # noqa: F401
from ramdisk import Ramdisk

from app.provisioning import ProvisioningProcess, build_process
from soundstage.settings import Settings

ANSIBLE = Path(__file__).parents[2] / "ansible" / ".venv" / "bin"
PATIENCE_S = 120.0
NEIGHBOUR = "10.0.0.66"

PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Who is there
      ansible.builtin.raw: id -un
      changed_when: false
"""
eventually = partial(waiting.eventually_async, within_s=PATIENCE_S, pause_s=0.1)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of playbooks; tests write their own into it."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "playbook.yaml").write_text(PLAYBOOK)
    return folder


@pytest.fixture
def settings(tmp_path: Path, project: Path, database_url: str) -> Settings:
    return Settings.model_validate(
        {
            "state_dir": tmp_path / "state",
            "events": {"poll_ms": 50},
            "provisioning": {
                "database_url": database_url,
                "project_dir": project,
                "ansible_bin": ANSIBLE,
                "ssh_user": getpass.getuser(),
                "run_timeout_s": 300,
                # The emulated BMC and the receivers of power webhooks are on this machine.
                "power_networks": ["127.0.0.0/8"],
            },
        }
    )


@pytest.fixture
def process(settings: Settings) -> ProvisioningProcess:
    return build_process(settings)


@pytest.fixture
async def app(process: ProvisioningProcess) -> AsyncIterator[FastAPI]:
    """At work: its runs are driven, its inventory is written."""
    created = process.app()
    async with created.router.lifespan_context(created):
        yield created


def client_of(
    app: FastAPI, url: str, source: str, headers: dict[str, str] | None = None
) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(source, 40000))
    return httpx.AsyncClient(transport=transport, base_url=url, timeout=PATIENCE_S, headers=headers)


@asynccontextmanager
async def operator_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The user of this machine, with its local key."""
    headers = await local_login.log_in_locally(app.state.policy)
    async with client_of(app, "http://localhost", "127.0.0.1", headers) as client:
        yield client


@asynccontextmanager
async def at_work(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Runs a process of these settings; yields the clients of an operator and of a machine."""
    app = build_process(settings).app()
    async with (
        app.router.lifespan_context(app),
        operator_of(app) as operator,
        client_of(app, "https://provisioning.example", "10.0.0.7") as machine,
    ):
        yield operator, machine


@pytest.fixture
async def operator(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The user of this machine, who is admin."""
    async with operator_of(app) as client:
        yield client


@pytest.fixture
async def machine_client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A machine on the network, over TLS and without any key."""
    async with client_of(app, "https://provisioning.example", "10.0.0.7") as client:
        yield client


@pytest.fixture
def ramdisk(machine_client: httpx.AsyncClient) -> Ramdisk:
    return Ramdisk(machine_client)


@pytest.fixture
async def neighbour(app: FastAPI, ramdisk: Ramdisk) -> AsyncIterator[Ramdisk]:
    """Somebody at another address who has read the machine's addresses and UUID, and has no key of ours."""
    async with client_of(app, "https://provisioning.example", NEIGHBOUR) as client:
        yield Ramdisk(client, macs=ramdisk.macs, uuid=ramdisk.uuid, hardware={"serial": "FORGED"})


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[sshd_server.Sshd]:
    """A machine's sshd with a key and not started yet."""
    if not sshd_server.PROGRAM.exists():
        pytest.skip(sshd_server.INSTALL)
    with ExitStack() as stack:
        yield stack.enter_context(sshd_server.machine_with_sshd(tmp_path / "machine"))


@pytest.fixture
def make_member(
    operator: httpx.AsyncClient, machine_client: httpx.AsyncClient
) -> Callable[[str], Awaitable[dict[str, Any]]]:
    """Enrols machines by name; gives what each got. Nothing answers at their address."""

    async def make(name: str, **changed: Any) -> dict[str, Any]:
        ramdisk = Ramdisk(machine_client, address="127.0.0.1", **changed)
        (await ramdisk.discover()).raise_for_status()
        (
            await operator.post(
                f"/api/machines/{ramdisk.machine_id}/accept", json={"name": name, "code": ramdisk.code}
            )
        ).raise_for_status()
        found: dict[str, Any] = (await ramdisk.enrol(await ramdisk.token())).raise_for_status().json()
        return found

    return make


@pytest.fixture
def run_of(operator: httpx.AsyncClient) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Starts a run and waits for its end."""

    async def ended(*machines: str, **more: Any) -> dict[str, Any]:
        answer = await operator.post("/api/runs", json={"machines": list(machines), **more})
        return await end_of(operator, answer.raise_for_status().json()["id"])

    return ended


async def end_of(operator: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    async def ended() -> Any:
        run = (await operator.get(f"/api/runs/{run_id}")).json()
        return run if run["state"] not in ("queued", "running") else None

    found: dict[str, Any] = await eventually(ended)
    return found


async def todo_of(settings: Settings) -> str:
    """Returns TODO.md once it is there: it is written after the run's end is stored, in one piece."""
    path = settings.state_dir / "TODO.md"
    return await eventually(lambda: path.read_text() if path.exists() else "", path.name)


@pytest.fixture
def server(tmp_path: Path, project: Path, database_url: str) -> Iterator[real_server.RealServer]:
    """A process of its own, with a plain and a TLS port."""
    with server_in(tmp_path, project, SOUNDSTAGE_PROVISIONING__DATABASE_URL=database_url) as running:
        yield running


@contextmanager
def server_in(folder: Path, project: Path, **variables: str) -> Iterator[real_server.RealServer]:
    """A process of its own with its state in `folder`."""
    environment = {
        **real_server.FLEET_LIMITS,
        "SOUNDSTAGE_STATE_DIR": str(folder / "state"),
        "SOUNDSTAGE_LOG__LEVEL": "warning",
        "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(project),
        "SOUNDSTAGE_PROVISIONING__ANSIBLE_BIN": str(ANSIBLE),
        "SOUNDSTAGE_PROVISIONING__SSH_USER": getpass.getuser(),
        "SOUNDSTAGE_PROVISIONING__POWER_NETWORKS": "127.0.0.0/8",
        **variables,
    }
    with real_server.running_server(folder, environment) as running:
        yield running


@pytest.fixture
def bmc(tmp_path: Path) -> Iterator[str]:
    """The address of an emulated BMC."""
    with redfish_emulator.redfish_emulator(tmp_path) as url:
        yield url
