"""What Nomad says of a machine, asked of a real Nomad."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import end_of, eventually, operator_of
from test_runs import OK, enrolled

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))

from nomad_cluster import NomadCluster, nomad_clusters

from app.provisioning import build_process
from provisioning_api.engines.calling import Engine
from provisioning_api.engines.nomad import NomadNodes
from soundstage.settings import Settings

__all__ = ["nomad_clusters"]


@pytest.fixture(scope="module")
def cluster(nomad_clusters: Callable[..., NomadCluster]) -> NomadCluster:
    return nomad_clusters("machines")


@pytest.fixture
def nodes(cluster: NomadCluster) -> NomadNodes:
    return NomadNodes(Engine("Nomad", cluster.server.address, "nothing"))


async def test_a_node_that_is_ready_is_ready_and_one_that_is_not_there_is_not(
    cluster: NomadCluster, nodes: NomadNodes
) -> None:
    await asyncio.to_thread(cluster.add_client, "node1")

    async def ready() -> bool:
        return await nodes.is_ready("node1")

    await eventually(ready)
    assert not await nodes.is_ready("node2")


async def test_a_drained_node_takes_no_more_work(cluster: NomadCluster, nodes: NomadNodes) -> None:
    client = await asyncio.to_thread(cluster.add_client, "node3")
    assert await nodes.drain("node3")
    found = cluster.server.get(f"/v1/node/{client.node_id}")
    assert found["SchedulingEligibility"] == "ineligible"
    assert not await nodes.drain("nobody")


async def test_a_node_that_is_down_takes_no_work_either_when_it_comes_back(
    cluster: NomadCluster, nodes: NomadNodes
) -> None:
    client = await asyncio.to_thread(cluster.add_client, "node4")
    path = f"/v1/node/{client.node_id}"
    await asyncio.to_thread(client.stop)

    async def down() -> bool:
        return bool(cluster.server.get(path)["Status"] == "down")

    await eventually(down)
    assert await nodes.drain("node4")
    assert cluster.server.get(path)["SchedulingEligibility"] == "ineligible"


async def test_a_configured_machine_is_ready_when_nomad_calls_its_node_ready(
    cluster: NomadCluster, settings: Settings, project: Path
) -> None:
    (project / "playbook.yaml").write_text(OK)
    asking = settings.provisioning.model_copy(update={"nomad_ready": True})
    nomad = settings.farm.nomad.model_copy(update={"address": cluster.server.address})
    farm = settings.farm.model_copy(update={"nomad": nomad})
    created = build_process(settings.model_copy(update={"provisioning": asking, "farm": farm}))
    app = created.app()
    async with app.router.lifespan_context(app), operator_of(app) as operator:
        await enrolled(app, operator, "late1")
        run = (await operator.post("/api/runs", json={"machines": ["late1"]})).json()
        assert (await end_of(operator, run["id"]))["state"] == "succeeded"
        assert (await operator.get("/api/machines/late1")).json()["state"] == "configuring"
        await asyncio.to_thread(cluster.add_client, "late1")

        async def ready() -> bool:
            return bool((await operator.get("/api/machines/late1")).json()["state"] == "ready")

        await eventually(ready)
        spans = (await operator.get("/api/machines/late1/timeline")).json()["spans"]
        assert spans[-1]["name"] == "Nomad ready" and spans[-1]["critical"]
