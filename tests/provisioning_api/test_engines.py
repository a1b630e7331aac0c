"""What an enrolled machine shows to the engines is asked of a real Nomad and a real Consul with ACLs, and is
worth nothing there once the machine is retired.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import client_of, eventually, operator_of
from ramdisk import Ramdisk

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))
sys.path.insert(0, str(Path(__file__).parent))

import consul_server
from nomad_cluster import NomadAgent
from waiting import eventually as wait_until

from app.provisioning import ProvisioningProcess, build_process
from provisioning_api.engines.consul import ConsulTokens
from soundstage.errors import Upstream
from soundstage.settings import Settings

PATIENCE_S = 120


@pytest.fixture(scope="module")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[consul_server.Consul]:
    with consul_server.running_consul(tmp_path_factory.mktemp("consul")) as running:
        yield running


class Newcomer(NomadAgent):
    """A client that may be refused: nobody waits until it answers."""

    def _ready(self) -> bool:
        return True


class StrictNomad:
    """A server with ACLs that lets in no client without an introduction, and clients that try."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        server = {
            "enabled": True,
            "bootstrap_expect": 1,
            "client_introduction": {"enforcement": "strict"},
        }
        self.server = NomadAgent("server", folder / "server", {"server": server, "acl": {"enabled": True}})
        self._agents = [self.server]
        self.server.start()
        self.management = str(self._bootstrapped())
        wait_until(self._seals, "the server to have the key that seals and signs", PATIENCE_S)
        rules = {"Name": "provisioning", "Rules": 'node { policy = "write" }'}
        self.ask("PUT", "/v1/acl/policy/provisioning", json=rules)
        created = self.ask(
            "PUT", "/v1/acl/token", json={"Type": "client", "Policies": ["provisioning"], "Name": "p"}
        )
        self.token = str(created.json()["SecretID"])

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"X-Nomad-Token": self.management}
        url = self.server.address + path
        return httpx.request(
            method, url, headers=headers, timeout=20, trust_env=False, **more
        ).raise_for_status()

    def client(self, name: str, introduction: str | None, pool: str = "default") -> NomadAgent:
        """Starts one that has nothing but this token."""
        folder = self._folder / f"{name}-{len(self._agents)}"
        client = {
            "enabled": True,
            "node_pool": pool,
            "server_join": {"retry_join": [self.server.rpc_address], "retry_interval": "1s"},
            "options": {
                "fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean,cni,consul,vault",
                "driver.allowlist": "raw_exec",
            },
        }
        agent = Newcomer(name, folder, {"client": client, "acl": {"enabled": True}})
        self._agents.append(agent)
        if introduction is not None:
            place = agent.data_dir / "client"
            place.mkdir(parents=True)
            (place / "intro_token.jwt").write_text(introduction)
        agent.start()
        return agent

    def node(self, name: str) -> dict[str, Any] | None:
        found: list[dict[str, Any]] = self.ask("GET", "/v1/nodes").json()
        return next((node for node in found if node["Name"] == name), None)

    def take_down(self) -> None:
        for agent in reversed(self._agents):
            agent.kill()

    def _seals(self) -> bool:
        """The first leader answers before it has made its keyring."""
        body = {"Path": "first", "Items": {"is": "sealed"}}
        headers = {"X-Nomad-Token": self.management}
        url = f"{self.server.address}/v1/var/first"
        return httpx.put(url, json=body, headers=headers, timeout=20, trust_env=False).is_success

    def _bootstrapped(self) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = httpx.put(f"{self.server.address}/v1/acl/bootstrap", timeout=20, trust_env=False)
            if answer.is_success:
                return str(answer.json()["SecretID"])
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.2)


@pytest.fixture(scope="module")
def nomad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictNomad]:
    if os.geteuid() != 0:
        pytest.skip("a Nomad client needs root: sudo make test")
    running = StrictNomad(tmp_path_factory.mktemp("strict"))
    yield running
    running.take_down()


@dataclass
class Joined:
    """A provisioning process that knows the engines."""

    process: ProvisioningProcess
    operator: httpx.AsyncClient
    machines: httpx.AsyncClient

    async def enrol(self, name: str, pool: str | None = None) -> dict[str, Any]:
        ramdisk = Ramdisk(self.machines)
        await ramdisk.discover()
        accepted = {"name": name, "code": ramdisk.code} | ({} if pool is None else {"pool": pool})
        await self.operator.post(f"/api/machines/{ramdisk.machine_id}/accept", json=accepted)
        found: dict[str, Any] = (await ramdisk.enrol(await ramdisk.token())).raise_for_status().json()
        return found

    async def again(self, member: dict[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {member['call_home_token']}"}
        return await self.machines.post("/api/agent/join-tokens", headers=headers)

    async def retire(self, name: str) -> None:
        answer = await self.operator.post(
            f"/api/machines/{name}/retire", json={"confirm": name, "wipe": False}
        )
        answer.raise_for_status()


@asynccontextmanager
async def joined(settings: Settings, tmp_path: Path, **chosen: Any) -> AsyncIterator[Joined]:
    """`nomad` and `consul`: address and token of either."""
    farm, own = settings.farm, settings.provisioning
    for engine, request in chosen.items():
        file = tmp_path / f"{engine}.token"
        file.write_text(request[1])
        if engine == "nomad":
            farm = farm.model_copy(update={"nomad": farm.nomad.model_copy(update={"address": request[0]})})
            own = own.model_copy(update={"nomad_token_file": file})
        else:
            own = own.model_copy(update={"consul_address": request[0], "consul_token_file": file})
    created = build_process(settings.model_copy(update={"farm": farm, "provisioning": own}))
    app = created.app()
    async with (
        app.router.lifespan_context(app),
        operator_of(app) as operator,
        client_of(app, "https://provisioning.example", "10.0.0.7") as machines,
    ):
        yield Joined(created, operator, machines)


async def test_a_client_registers_with_the_token_of_its_enrolment_and_with_no_other(
    settings: Settings, tmp_path: Path, nomad: StrictNomad
) -> None:
    async with joined(settings, tmp_path, nomad=(nomad.server.address, nomad.token)) as api:
        member = await api.enrol("intro1")
        stranger = await asyncio.to_thread(nomad.client, "stranger1", None)
        token = member["nomad"]["introduction_token"]
        borrower = await asyncio.to_thread(nomad.client, "borrower1", token)
        elsewhere = await asyncio.to_thread(nomad.client, "intro1", token, "elsewhere")
        for refused in (stranger, borrower, elsewhere):

            async def said_no(agent: NomadAgent = refused) -> bool:
                return "Permission denied" in agent.log()

            await eventually(said_no)
        assert nomad.node("stranger1") is None and nomad.node("borrower1") is None
        assert nomad.node("intro1") is None
        for agent in (stranger, borrower, elsewhere):
            agent.kill()
        await asyncio.to_thread(nomad.client, "intro1", token)

        async def ready() -> bool:
            node = await asyncio.to_thread(nomad.node, "intro1")
            return node is not None and node["Status"] == "ready"

        await eventually(ready)


async def test_a_member_asks_for_another_token_and_a_retired_machine_gets_none_and_no_work(
    settings: Settings, tmp_path: Path, nomad: StrictNomad
) -> None:
    async with joined(settings, tmp_path, nomad=(nomad.server.address, nomad.token)) as api:
        member = await api.enrol("intro2", "gpu")
        again = (await api.again(member)).raise_for_status().json()
        assert again["nomad"]["introduction_token"] not in ("", None, member["nomad"]["introduction_token"])
        agent = await asyncio.to_thread(nomad.client, "intro2", again["nomad"]["introduction_token"], "gpu")

        async def ready() -> bool:
            node = await asyncio.to_thread(nomad.node, "intro2")
            return node is not None and node["Status"] == "ready"

        await eventually(ready)
        await api.retire("intro2")
        assert (await api.again(member)).json()["code"] == "machine.bad_token"
        # Its client still holds an identity of Nomad's own, and may come back with it: it gets no work.
        await asyncio.to_thread(agent.stop)
        await asyncio.to_thread(agent.start)
        await eventually(ready)
        node = nomad.node("intro2")
        assert node is not None and node["SchedulingEligibility"] == "ineligible"


async def test_consul_knows_the_agent_of_a_member_until_the_member_is_retired(
    settings: Settings, tmp_path: Path, consul: consul_server.Consul
) -> None:
    async with joined(settings, tmp_path, consul=(consul.server.url, consul.token)) as api:
        member = await api.enrol("agent1")
        token = member["consul"]["agent_token"]
        await asyncio.to_thread(consul.agent, "agent1", token)

        async def listed() -> bool:
            return "agent1" in await asyncio.to_thread(consul.nodes)

        await eventually(listed)
        other = {"Node": "agent2", "Address": "127.0.0.2"}
        answer = await asyncio.to_thread(consul.server.ask, "PUT", "/v1/catalog/register", token, json=other)
        assert answer.status_code == 403

        again = (await api.again(member)).raise_for_status().json()["consul"]["agent_token"]
        assert again != token

        async def ended(secret: str) -> bool:
            return not await asyncio.to_thread(consul.knows, secret)

        await eventually(lambda: ended(token))
        assert await asyncio.to_thread(consul.knows, again)
        await api.retire("agent1")
        await eventually(lambda: ended(again))
        held = (await api.operator.get("/api/machines/agent1/credentials")).json()
        assert held == []


async def test_a_token_that_consul_could_not_be_told_of_ends_when_consul_is_back(
    settings: Settings, tmp_path: Path, consul: consul_server.Consul
) -> None:
    async with joined(settings, tmp_path, consul=(consul.server.url, consul.token)) as api:
        member = await api.enrol("agent3")
        token = member["consul"]["agent_token"]
        file = tmp_path / "consul.token"
        file.write_text("00000000-0000-0000-0000-000000000000")
        await api.retire("agent3")
        assert await asyncio.to_thread(consul.knows, token)
        file.write_text(consul.token)

        async def ended() -> bool:
            return not await asyncio.to_thread(consul.knows, token)

        await eventually(ended)


async def test_a_token_that_consul_refuses_to_remove_holds_up_no_other(
    settings: Settings, tmp_path: Path, consul: consul_server.Consul, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = ConsulTokens.remove
    refused: list[str] = []

    async def refuses_the_first(self: ConsulTokens, accessor: str) -> None:
        if accessor in refused or not refused:
            refused.append(accessor)
            raise Upstream("machine.engine_refused", "Consul refused: 500", "Look at Consul's own log.")
        await remove(self, accessor)

    monkeypatch.setattr(ConsulTokens, "remove", refuses_the_first)
    async with joined(settings, tmp_path, consul=(consul.server.url, consul.token)) as api:
        tokens = [(await api.enrol(name))["consul"]["agent_token"] for name in ("agent4", "agent5")]
        for name in ("agent4", "agent5"):
            await api.retire(name)

        async def one_is_left() -> bool:
            return sum([await asyncio.to_thread(consul.knows, token) for token in tokens]) == 1

        await eventually(one_is_left)


async def test_a_machine_enrols_while_the_engines_are_away_and_the_event_says_what_is_missing(
    settings: Settings, tmp_path: Path
) -> None:
    nowhere = ("http://127.0.0.1:9", "00000000-0000-0000-0000-000000000000")
    async with joined(settings, tmp_path, nomad=nowhere, consul=nowhere) as api:
        member = await api.enrol("early1")
        assert member["nomad"]["introduction_token"] is None and member["consul"]["agent_token"] is None
        assert (await api.operator.get("/api/machines/early1")).json()["state"] == "enrolled"
        events = await api.process.services.events.read("machines", limit=1000)
        text = [event.data for event in events if event.kind == "machine.not_introduced"]
        assert {one["engine"] for one in text} == {"Nomad", "Consul"} and all(one["hint"] for one in text)
        # What may have come into being all the same is on the list of what has to go.
        assert {
            one["kind"] for one in (await api.operator.get("/api/machines/early1/credentials")).json()
        } == {
            "ssh_host",
            "x509",
        }


async def test_a_machine_can_be_cut_off_while_nomad_is_away(settings: Settings, tmp_path: Path) -> None:
    nowhere = ("http://127.0.0.1:9", "00000000-0000-0000-0000-000000000000")
    async with joined(settings, tmp_path, nomad=nowhere) as api:
        await api.enrol("node1")
        request = {"confirm": "node1", "wipe": False}
        refused = await api.operator.post("/api/machines/node1/retire", json=request)
        assert (refused.status_code, refused.json()["code"]) == (502, "machine.engine_unreachable")
        assert len((await api.operator.get("/api/machines/node1/credentials")).json()) == 2
        plan = (
            await api.operator.get("/api/machines/node1/retire", params={"wipe": False, "drain": False})
        ).json()
        assert not any("Drain" in step for step in plan["steps"])
        done = await api.operator.post(
            "/api/machines/node1/retire", json={**request, "drain": False, "plan": plan["digest"]}
        )
        assert done.json()["state"] == "retired"
        assert (await api.operator.get("/api/machines/node1/credentials")).json() == []
