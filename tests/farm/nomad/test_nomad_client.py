"""The client against a Nomad with TLS, ACLs and namespaces, with the policy that the guide shows."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from loopback_http import Reply, Request, serving
from nomad_cluster import NomadAgent, nomad_program  # type: ignore[import-not-found]
from waiting import eventually

from farm.nomad import NomadAddress, NomadClient
from farm.nomad.event_stream import MAY_PASS
from soundstage.errors import Forbidden, Invalid, Unavailable

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs" / "guide" / "nomad.md"
HCL = (ROOT / "jobs" / "render.nomad.hcl").read_text(encoding="utf-8")


class _TlsAgent(NomadAgent):  # type: ignore[misc]
    def _ready(self) -> bool:
        try:
            context = ssl.create_default_context(cafile=self.folder / "nomad-agent-ca.pem")
            url = self.address.replace("http:", "https:")
            return bool(httpx.get(f"{url}/v1/status/leader", verify=context).json())
        except (OSError, httpx.HTTPError, ValueError):
            return False


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NomadAddress]:
    """A server with TLS and ACLs; the address carries a token with the guide's policy and no more."""
    folder = tmp_path_factory.mktemp("guarded") / "server"
    agent = _TlsAgent(
        "server",
        folder,
        {
            "server": {"enabled": True, "bootstrap_expect": 1},
            "acl": {"enabled": True},
            "tls": {
                "http": True,
                "ca_file": str(folder / "nomad-agent-ca.pem"),
                "cert_file": str(folder / "global-server-nomad.pem"),
                "key_file": str(folder / "global-server-nomad-key.pem"),
                "verify_https_client": False,
            },
        },
    )
    for command in (("ca", "create"), ("cert", "create", "-server", "-region", "global")):
        subprocess.run([nomad_program(), "tls", *command], cwd=folder, check=True, capture_output=True)
    agent.start()
    try:
        yield _bootstrapped(folder, agent.address.replace("http:", "https:"))
    finally:
        agent.stop()


def _bootstrapped(folder: Path, url: str) -> NomadAddress:
    ca = folder / "nomad-agent-ca.pem"
    with httpx.Client(base_url=f"{url}/v1", verify=ssl.create_default_context(cafile=ca), timeout=60) as http:
        root = http.put("/acl/bootstrap").raise_for_status().json()["SecretID"]
        http.headers["X-Nomad-Token"] = root
        policy = re.search(r"```hcl\n(namespace .*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
        assert policy is not None
        rules = policy.group(1).replace('namespace "default"', 'namespace "video"')
        http.put("/namespace/video", json={"Name": "video"}).raise_for_status()
        # The first leader answers before it has made the key that seals variables.
        first = {"Path": "first", "Items": {"is": "sealed"}}
        eventually(lambda: http.put("/var/first", json=first).is_success, "the keyring", 60)
        http.put("/acl/policy/farm", json={"Name": "farm", "Rules": rules}).raise_for_status()
        answer = http.put("/acl/token", json={"Type": "client", "Policies": ["farm"]})
        created = answer.raise_for_status().json()
    token = folder / "token"
    token.write_text(created["SecretID"] + "\n")
    return NomadAddress(url, namespace="video", token_file=token, ca_file=ca)


@pytest.fixture
async def client(guarded: NomadAddress) -> AsyncIterator[NomadClient]:
    async with NomadClient(guarded) as created:
        yield created


async def a_job(client: NomadClient, **variables: Any) -> Any:
    values = {"id": f"soundstage-{secrets.token_hex(4)}", "by_hand": False, "namespace": "video", **variables}
    return await client.parse_job(HCL, values)


async def test_the_policy_of_the_guide_is_enough(client: NomadClient) -> None:
    job = await a_job(client, args=["work", "${NOMAD_SECRETS_DIR}/token"])
    assert job["TaskGroups"][0]["Tasks"][0]["Config"]["args"][1] == "${NOMAD_SECRETS_DIR}/token"
    path = f"nomad/jobs/{job['ID']}"
    await client.put_variable(path, {"token": "x"})
    assert await client.register(job)
    assert (await client.jobs("soundstage-"))[0]
    assert await client.job(job["ID"])
    assert await client.allocations(job["ID"]) == [] and (await client.nodes())[0] == []
    await client.all_allocations()
    async with asyncio.timeout(30):
        async for _ in client.events(("Node", "Allocation", "Job"), 0):
            break
    await client.stop(job["ID"], purge=True)
    await client.delete_variable(path)
    assert await client.job(job["ID"]) is None


async def test_events_go_on_from_the_index_of_a_list(client: NomadClient) -> None:
    _, index = await client.jobs("")
    job = await a_job(client)
    await client.register(job)
    async with asyncio.timeout(60):
        async for batch in client.events(("Job", "Allocation"), index):
            if any(event["Key"] == job["ID"] and event["Type"] == "JobRegistered" for event in batch.events):
                assert batch.index > index
                break


async def test_of_twenty_registrations_at_once_one_wins(client: NomadClient) -> None:
    job = await a_job(client)
    won = await asyncio.gather(*[client.register(job) for _ in range(20)])
    assert sorted(won) == [False] * 19 + [True]


async def test_the_policy_of_the_guide_lets_a_job_be_dispatched_by_hand(client: NomadClient) -> None:
    job = await a_job(client, by_hand=True)
    await client.register(job)
    payload = base64.b64encode(b"{}").decode()
    answer = await client._json("POST", f"job/{job['ID']}/dispatch", {"Payload": payload})
    assert str(answer["DispatchedJobID"]).startswith(f"{job['ID']}/")


async def test_without_the_token_nothing_is_allowed(guarded: NomadAddress, tmp_path: Path) -> None:
    async with NomadClient(replace(guarded, token_file=None)) as stranger:
        with pytest.raises(Forbidden, match="does not allow"):
            await stranger.jobs("")
    async with NomadClient(replace(guarded, token_file=Path("/nowhere"))) as lost:
        with pytest.raises(Unavailable, match="/nowhere"):
            await lost.jobs("")
    empty = tmp_path / "being-written"
    empty.write_text("\n")
    async with NomadClient(replace(guarded, token_file=empty)) as early:
        with pytest.raises(Unavailable, match="is empty"):
            await early.jobs("")


async def test_a_certificate_of_strangers_is_not_trusted(guarded: NomadAddress) -> None:
    async with NomadClient(replace(guarded, ca_file=None)) as wary:
        with pytest.raises(Unavailable, match="does not answer"):
            await wary.jobs("")


async def test_a_broken_job_file_is_refused_with_nomads_words(client: NomadClient) -> None:
    with pytest.raises(Invalid, match="Nomad refuses"):
        await client.parse_job('job "x" {', {})


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "variable error: encrypt: keyring has not been initialized yet"),
        (500, "No cluster leader"),
        (500, "raft apply failed: leadership lost while committing log"),
        (500, "rpc error: failed to get conn: dial tcp 10.0.0.2:4647: connect: connection refused"),
        (502, "<html>Bad gateway</html>"),
    ],
)
async def test_a_cluster_that_is_beginning_is_waited_for(status: int, words: str) -> None:
    """`Unavailable` leaves the task in the queue; `Invalid` would end it."""

    async def answer(_request: Request) -> Reply:
        return Reply(status, words.encode())

    async with serving(answer) as url, NomadClient(NomadAddress(url)) as client:
        with pytest.raises(Unavailable, match="cannot serve now") as refused:
            await client.put_variable("nomad/jobs/one", {"token": "x"})
    assert refused.value.code in MAY_PASS


async def test_values_cannot_break_out_of_their_quotes(client: NomadClient) -> None:
    strange = 'a"\nid = "evil" ${var.id} %{ if true } \\ ü'
    job = await a_job(client, engine=strange)
    assert job["Meta"]["engine"] == strange
