"""A real provisioning process, machines that report to it, and people who talk to the agent about them; used
by the tests of the tools on machines, runs and the farm.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from brain_answers import answer

sys.path.insert(0, str(Path(__file__).parents[1] / "provisioning_api"))

from functools import partial

import real_server
import waiting
from ramdisk import Ramdisk

from agent.events import ApprovalRequested, BrainEvent, Failure, Text, ToolReturned
from app.composition import Services, open_services
from bench.simulated_fleet.fleet import fleet_client
from policy import Principal
from soundstage.settings import Settings

ROOT = Path(__file__).parents[2]
ANSIBLE = ROOT / "ansible" / ".venv" / "bin"
PATIENCE_S = 120.0

HARDWARE = {
    "serial": "SIM1",
    "cpu_threads": 16,
    "memory_mib": 65536,
    "disks": [{"name": "sda", "bytes": 480_000_000_000}],
    "gpus": [
        {"address": "0000:01:00.0", "vendor": "10de", "device": "1e81", "model": "TU104", "vram_mib": 8192}
    ],
}
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Who is there
      ansible.builtin.raw: id -un
      changed_when: false
"""
wait_for = partial(waiting.eventually, within_s=PATIENCE_S, pause_s=0.1)


class House:
    """The process, and an operator beside the agent; machines are `Ramdisk`s over TLS."""

    def __init__(self, server: real_server.RealServer, project: Path) -> None:
        self.server = server
        self.project = project

    def call(self, method: str, path: str, **more: Any) -> Any:
        answer = httpx.request(
            method,
            self.server.url + path,
            headers=self.server.headers,
            timeout=PATIENCE_S,
            trust_env=False,
            **more,
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def machine(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/api/machines/{name}")
        return found

    def forget_newcomers(self) -> None:
        """Nobody waits for a yes any more."""
        for machine in self.call("GET", "/api/machines", params={"state": "discovered"}):
            self.call("POST", f"/api/machines/{machine['id']}/reject")

    @asynccontextmanager
    async def network(self) -> AsyncIterator[httpx.AsyncClient]:
        """How machines reach the process."""
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as plain:
            authority = (await plain.get(f"{self.server.url}/api/ca.pem")).text
        async with fleet_client(self.server.tls_url, authority) as client:
            yield client

    async def newcomer(self, *, known: bool = True, **changed: Any) -> Ramdisk:
        """A machine that has just started from the network and waits for a yes; not `known`: its key is not
        the one that counts.
        """
        async with self.network() as client:
            machine = Ramdisk(client, **{"hardware": HARDWARE, **changed})
            answer = await machine.discover()
            assert answer.is_success if known else answer.status_code == 409, answer.text
        return machine

    async def member(self, name: str, **changed: Any) -> dict[str, Any]:
        """An enrolled machine; what its enrolment gave it."""
        async with self.network() as client:
            machine = Ramdisk(client, **{"hardware": HARDWARE, "address": "127.0.0.1", **changed})
            (await machine.discover()).raise_for_status()
            yes = {"name": name, "code": machine.code}
            self.call("POST", f"/api/machines/{machine.machine_id}/accept", json=yes)
            got: dict[str, Any] = (await machine.enrol(await machine.token())).raise_for_status().json()
        return got


@contextmanager
def provisioning_house(folder: Path) -> Iterator[House]:
    project = folder / "project"
    project.mkdir(parents=True)
    (project / "playbook.yaml").write_text(PLAYBOOK)
    environment = {
        "SOUNDSTAGE_STATE_DIR": str(folder / "state"),
        "SOUNDSTAGE_LOG__LEVEL": "warning",
        "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(project),
        "SOUNDSTAGE_PROVISIONING__ANSIBLE_BIN": str(ANSIBLE),
        "SOUNDSTAGE_PROVISIONING__SSH_USER": getpass.getuser(),
        "SOUNDSTAGE_PROVISIONING__POWER_NETWORKS": "127.0.0.0/8",
        # The machines of all tests of a file report from one address.
        "SOUNDSTAGE_PROVISIONING__NEW_MACHINES_PER_HOUR": "200",
    }
    with real_server.running_server(folder, environment) as server:
        yield House(server, project)


@dataclass
class Answer:
    """What came of a sentence."""

    events: list[BrainEvent] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, Text))

    @property
    def result(self) -> dict[str, Any]:
        return next(event.result for event in self.events if isinstance(event, ToolReturned))

    @property
    def failure(self) -> Failure:
        return next(event for event in self.events if isinstance(event, Failure))

    @property
    def approval_id(self) -> str:
        return next(event.approval_id for event in self.events if isinstance(event, ApprovalRequested))


@dataclass
class Desk:
    """People in front of the agent."""

    services: Services

    async def say(self, sentence: str, who: str = "ada", role: str = "admin") -> Answer:
        principal = Principal(f"local:{who}", who, role, "local")
        conversation = await self.services.brain.sessions.open(principal)
        return Answer(await answer(self.services.brain, conversation, sentence))

    async def agree(self, answer: Answer, *names: str) -> str:
        """These people agree, and what they agreed to is done; what came of it."""
        for name in names:
            principal = Principal(f"key_{name}", name, "admin", "session")
            await self.services.decisions.vote(answer.approval_id, principal, agrees=True)
        await self.services.decisions.run_approved()
        return await self.outcome(answer)

    async def outcome(self, answer: Answer) -> str:
        """`done: sentence`, `pending: `, `void: why`, …"""
        principal = Principal.local_admin("eve")
        found = await self.services.decisions.approvals.get(answer.approval_id, principal)
        return f"{found.state}: {found.outcome}"


def desk_settings(folder: Path, **sections: Any) -> Settings:
    """An installation of its own that knows the given farm."""
    (folder / "personas").mkdir(exist_ok=True)
    plain = {"state_dir": folder / "state", "out_dir": folder / "out", "personas_dir": folder / "personas"}
    return Settings.model_validate({**plain, **sections})


@asynccontextmanager
async def desk(settings: Settings) -> AsyncIterator[Desk]:
    async with open_services(settings) as services:
        yield Desk(services)
