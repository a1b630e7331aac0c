"""The farm on the page, on a real Nomad: nodes with leases, jobs with logs, and changes by approval."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest
from provisioning_house import Desk, desk, desk_settings, wait_for  # type: ignore[import-not-found]
from sqlalchemy import update
from waiting import eventually_async

from app.server.cluster_routes import ClusterCalls
from app.server.web import create_app
from policy import Principal
from policy.keys.schemas import KeyRequest
from studio.renders.models import Render
from studio.renders.repository import Renders
from studio.renders.schemas import RenderRequest

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))
from nomad_cluster import NomadCluster, nomad_clusters

__all__ = ["nomad_clusters"]

pytestmark = pytest.mark.root

CARD = {"uuid": "GPU-77777777-aaaa-0000-0000-000000000002", "model": "RTX 4060", "memory_mib": 8188}
TOKEN = "qwertyuiop"
SAYS = f"echo first; echo 'Bearer {TOKEN}' >&2; while [ ! -e go ]; do sleep 0.1; done; echo last >&2"


def job(name: str, *, memory_mib: int = 32, devices: bool = False, meta: Any = None) -> dict[str, Any]:
    resources: dict[str, Any] = {"CPU": 50, "MemoryMB": memory_mib}
    if devices:
        resources["Devices"] = [{"Name": "nvidia/gpu", "Count": 1}]
    task = {
        "Name": "talk",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sh", "args": ["-c", f"{SAYS}; exec sleep 3600"]},
        "Resources": resources,
    }
    group = {"Name": "talkers", "Count": 1, "Tasks": [task]}
    return {"ID": name, "Type": "service", "Datacenters": ["*"], "Meta": meta, "TaskGroups": [group]}


@pytest.fixture(scope="module")
def cluster(nomad_clusters: Callable[..., NomadCluster]) -> NomadCluster:
    cluster = nomad_clusters("page")
    cluster.add_client("gpu-1", [CARD])
    return cluster


@pytest.fixture
async def people(cluster: NomadCluster, tmp_path: Path) -> AsyncIterator[Desk]:
    settings = desk_settings(tmp_path, farm={"nomad": {"address": cluster.server.address}})
    async with desk(settings) as people:
        yield people


@pytest.fixture
async def page(people: Desk) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(people.services), client=("10.0.0.9", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as client:
        client.headers["Authorization"] = f"Bearer {await key(people, 'admin')}"
        yield client


async def key(people: Desk, role: str, tenant: str = "default") -> str:
    policy = people.services.policy
    async with policy.db.transaction() as session:
        request = KeyRequest(name=f"{role} of {tenant}", role=role, tenant=tenant)
        created = await policy.keys.create(session, request, Principal.local_admin())
    return str(created.key)


@pytest.fixture
def talker(cluster: NomadCluster) -> Iterator[str]:
    """A step of a video, as Nomad sees it, that holds the card."""
    cluster.run(job("step-1", devices=True, meta={"ticket": "t", "trace": "5" * 32}))
    wait_for(lambda: running(cluster, "step-1"), "the job to run")
    yield "step-1"
    cluster.server.delete("/v1/job/step-1?purge=true")


def running(cluster: NomadCluster, name: str) -> list[Any]:
    return [one for one in cluster.allocations(name) if one["ClientStatus"] == "running"]


async def read(page: httpx.AsyncClient, path: str) -> Any:
    return (await page.get(path)).raise_for_status().json()


async def test_nodes_are_shown_with_their_cards_and_who_holds_them(
    page: httpx.AsyncClient, people: Desk, cluster: NomadCluster, talker: str
) -> None:
    view = await people.services.studio.renders.create(_film())
    async with people.services.database.transaction() as session:
        row = await Renders(session).find(view.id)
        assert row is not None
        row.state, row.trace_id = "running", "5" * 32
    (node,) = await read(page, "/api/farm/nodes")
    assert (node["name"], node["state"], node["eligible"]) == ("gpu-1", "ready", True)
    (card,) = node["cards"]
    assert (card["model"], card["held_mib"], card["fault"]) == ("RTX 4060", card["memory_mib"], "")
    (lease,) = node["leases"]
    assert (lease["job"], lease["step"], lease["cards"]) == ("step-1", True, [CARD["uuid"]])
    assert (lease["render"], lease["title"]) == (view.id, view.title)
    assert (lease["cpu_mhz"], lease["memory_mib"]) == (50, 32)
    # Steps are jobs too, and are left out unless they are asked for.
    assert [one["id"] for one in await read(page, "/api/farm/jobs")] == []
    assert [one["title"] for one in await read(page, "/api/farm/jobs?steps=true")] == [view.title]
    # Whoever runs the farm does not read what another tenant makes on it.
    async with people.services.database.transaction() as session:
        await session.execute(update(Render).values(tenant="acme"))
    ((lease,),) = [one["leases"] for one in await read(page, "/api/farm/nodes")]
    assert (lease["step"], lease["render"], lease["title"]) == (True, None, "")


def _film() -> RenderRequest:
    scenes = [{"id": "s1", "script": "The tide turns."}]
    return RenderRequest.model_validate({"spec": {"title": "Tides", "scenes": scenes}})


async def test_a_job_is_shown_with_its_groups_and_the_log_of_its_task(
    page: httpx.AsyncClient, cluster: NomadCluster, talker: str
) -> None:
    found = await read(page, f"/api/farm/jobs/{talker}")
    assert found["groups"] == [
        {
            "name": "talkers", "count": 1, "running": 1, "starting": 0, "waiting": 0,
            "tasks": [{"name": "talk", "driver": "raw_exec"}],
        }
    ]  # fmt: skip
    (allocation,) = found["allocations"]
    assert (allocation["node"], allocation["state"]) == ("gpu-1", "running")
    assert [(one["name"], one["state"]) for one in allocation["tasks"]] == [("talk", "running")]
    path = f"/api/farm/allocations/{allocation['id']}/log"
    assert await read(page, f"{path}?task=talk&stream=stdout") == {"text": "first\n", "whole": True}
    tail = await read(page, f"{path}?task=talk")
    assert tail["text"].startswith("Bearer ") and TOKEN not in tail["text"]
    wrong = await page.get(f"{path}?task=nobody")
    assert wrong.status_code in (404, 422), wrong.text
    missing = await page.get("/api/farm/jobs/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "cluster.no_job")


async def test_a_log_is_followed_as_it_is_written(
    page: httpx.AsyncClient, people: Desk, cluster: NomadCluster, talker: str
) -> None:
    (allocation,) = running(cluster, talker)
    task = cluster.clients["gpu-1"].data_dir / "alloc" / allocation["ID"] / "talk"
    calls = ClusterCalls(people.services.tool_services, people.services.brain.toolset)
    text = b""
    # This client would get the answer once it has ended, and the task does not.
    following = calls.follow(allocation["ID"], "talk", "stderr", limit=1 << 10, whole=True)
    async with asyncio.timeout(60), aclosing(following) as lines:
        async for line in lines:
            text += line
            if b"last" in text:
                break
            await asyncio.to_thread((task / "go").touch)
    assert text.decode().splitlines()[1:] == ["last"] and TOKEN.encode() not in text
    # A log that there is not is refused before the answer begins.
    path = "/api/farm/allocations/00000000-0000-0000-0000-000000000000/log/follow?task=talk"
    assert (await page.get(path)).status_code in (404, 422)


async def test_a_job_is_stopped_after_its_plan_was_shown_and_somebody_has_agreed(
    page: httpx.AsyncClient, people: Desk, cluster: NomadCluster
) -> None:
    cluster.run(job("voices"))
    try:
        await asyncio.to_thread(wait_for, lambda: running(cluster, "voices"), "the job to run")
        body = {"job": "voices", "action": "stop"}
        plan = (await page.post("/api/farm/jobs/plan", json=body)).raise_for_status().json()
        assert "voices is stopped" in plan["changes"][0]["what"] and plan["approvers"] == 1
        wrong = await page.post("/api/farm/jobs/stop", json={"job": "voices", "plan": "0" * 64})
        assert (wrong.status_code, wrong.json()["code"]) == (409, "cluster.plan_changed")
        answer = await page.post("/api/farm/jobs/stop", json={"job": "voices", "plan": plan["sha256"]})
        outcome = answer.raise_for_status().json()
        assert outcome["state"] == "waits" and running(cluster, "voices")
        bob = Principal("key_bob", "bob", "admin", "key")
        await people.services.decisions.vote(outcome["approval"], bob, agrees=True)
        await people.services.decisions.run_approved()
        assert (await read(page, "/api/farm/jobs/voices"))["state"] == "stopped"
    finally:
        cluster.server.delete("/v1/job/voices?purge=true")


async def test_what_finds_no_node_says_why(page: httpx.AsyncClient, cluster: NomadCluster) -> None:
    cluster.run(job("giant", memory_mib=900_000))
    try:

        async def is_explained() -> bool:
            return "too little memory" in (await read(page, "/api/farm/jobs/giant"))["why"]

        await eventually_async(is_explained)
        (line,) = [one for one in await read(page, "/api/farm/jobs") if one["id"] == "giant"]
        assert (line["state"], line["waiting"]) == ("pending", 1) and line["why"].startswith("no place")
    finally:
        cluster.server.delete("/v1/job/giant?purge=true")


async def test_a_change_of_the_farm_is_told(
    page: httpx.AsyncClient, people: Desk, cluster: NomadCluster
) -> None:
    calls = page._transport.app.state.cluster  # type: ignore[attr-defined]
    changes = calls.changes(await calls.index())
    cluster.run(job("brief"))
    try:
        seen: set[str] = set()
        async with asyncio.timeout(60):
            async for one in changes:
                assert one.event == "cluster.changed"
                seen |= {name for name in ("Job", "Allocation") if name in str(one.data)}
                if len(seen) == 2:
                    break
    finally:
        await changes.aclose()
        cluster.server.delete("/v1/job/brief?purge=true")


READS = ("nodes", "jobs", "jobs/step-1", "cluster/events")


async def test_each_route_needs_its_permission_and_other_tenants_have_none(
    page: httpx.AsyncClient, people: Desk, talker: str
) -> None:
    viewer = {"Authorization": f"Bearer {await key(people, 'viewer')}"}
    rival = {"Authorization": f"Bearer {await key(people, 'admin', 'acme')}"}
    assert (await page.get("/api/farm/nodes", headers=viewer)).status_code == 200
    for headers, reads in ((viewer, ()), (rival, READS)):
        for path in reads:
            answer = await page.get(f"/api/farm/{path}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "policy.forbidden"), path
        for act in ("stop", "scale"):
            body = {"job": "step-1", "count": 1}
            answer = await page.post(f"/api/farm/jobs/{act}", json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "policy.forbidden"), act
        plan = await page.post("/api/farm/jobs/plan", json={"job": "x", "action": "stop"}, headers=headers)
        assert (plan.status_code, plan.json()["code"]) == (403, "policy.forbidden")
    step = await page.post("/api/farm/jobs/stop", json={"job": "step-1"})
    assert (step.status_code, step.json()["code"]) == (409, "cluster.step_of_a_video")


async def test_without_a_farm_that_is_said(tmp_path: Path) -> None:
    async with desk(desk_settings(tmp_path)) as alone:
        transport = httpx.ASGITransport(app=create_app(alone.services), client=("10.0.0.9", 50_000))
        headers = {"Authorization": f"Bearer {await key(alone, 'admin')}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="https://studio.example", headers=headers
        ) as client:
            for path in READS:
                answer = await client.get(f"/api/farm/{path}")
                assert (answer.status_code, answer.json()["code"]) == (503, "cluster.not_configured"), path
