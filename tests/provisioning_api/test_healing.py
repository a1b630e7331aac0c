"""A machine whose golden frame fails is drained, power-cycled and returned: real Nomad, real health checks of
the role, and an emulated BMC.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import eventually, operator_of
from metric_values import metric_value, read_state
from test_runs import OK, enrolled

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))

from nomad_cluster import NomadClient, NomadCluster, nomad_clusters

from app.provisioning import build_process
from provisioning_api.healing import driver
from soundstage.settings import Settings
from soundstage.settings.healing import HealingSettings

__all__ = ["nomad_clusters"]

PROGRAM = Path(__file__).resolve().parents[2] / "ansible" / "roles" / "health" / "files" / "health"
PROBLEM = {"code": "worker.golden", "message": "The golden frame is another one.", "hint": "Restart."}


class CheckedNode:
    """A Nomad client with the health checks of its machine; the golden frame passes while `well` is there."""

    def __init__(self, client: NomadClient, folder: Path) -> None:
        self.client = client
        self.well = folder / "well"
        self.passed = folder / "run" / "passed"
        self._config = folder / "health.json"
        self._checks = folder / "checks.d"
        self._checks.mkdir(parents=True)
        self.well.touch()
        self._config.write_text(
            json.dumps(
                {
                    "nomad": {"address": client.address, "client_dir": str(client.data_dir / "client")},
                    "patience": 1,
                    "drain_deadline_s": 5,
                    "memory_file": str(folder / "memory.json"),
                    "passed_file": str(self.passed),
                    "metrics_file": str(folder / "checks.prom"),
                }
            )
        )
        script = f"test -e {self.well} || echo '{json.dumps(PROBLEM)}'"
        check = {"name": "worker", "command": ["/bin/sh", "-c", script]}
        (self._checks / "worker.json").write_text(json.dumps(check))

    async def check(self) -> str:
        """As its timer does it; returns its output."""
        arguments = ("-I", PROGRAM, "--config", self._config, "--checks", self._checks, "gate")
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return output.decode()

    def restart(self) -> None:
        """As a power cycle does it: the agent is killed, and the checks forget that they have passed."""
        self.client.kill()
        self.passed.unlink(missing_ok=True)
        self.client.start()


@asynccontextmanager
async def checking(*nodes: CheckedNode) -> AsyncIterator[None]:
    """Runs the checks of these nodes again and again."""

    async def run() -> None:
        while True:
            for node in nodes:
                await node.check()
            await asyncio.sleep(0.5)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture(scope="module")
def cluster(nomad_clusters: Callable[..., NomadCluster]) -> NomadCluster:
    return nomad_clusters("healing")


@pytest.fixture
def healing_settings(
    settings: Settings, cluster: NomadCluster, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    monkeypatch.setattr(driver, "POLL_S", 0.3)
    (project / "playbook.yaml").write_text(OK)
    healing = HealingSettings(level="power", wait_s=1, check_s=60, drain_s=10)
    provisioning = settings.provisioning.model_copy(update={"healing": healing})
    nomad = settings.farm.nomad.model_copy(update={"address": cluster.server.address})
    farm = settings.farm.model_copy(update={"nomad": nomad})
    return settings.model_copy(update={"provisioning": provisioning, "farm": farm})


async def case_of(operator: httpx.AsyncClient, name: str) -> dict[str, Any]:
    found = (await operator.get(f"/api/machines/{name}/healing")).raise_for_status().json()
    return dict(found[0]) if found else {}


async def in_state(operator: httpx.AsyncClient, name: str, state: str) -> dict[str, Any]:
    async def is_there() -> Any:
        case = await case_of(operator, name)
        return case if case.get("state") == state else None

    found: dict[str, Any] = await eventually(is_there)
    return found


async def make_ready(app: Any, operator: httpx.AsyncClient, name: str, bmc: str | None = None) -> None:
    await enrolled(app, operator, name)
    (await operator.post("/api/runs", json={"machines": [name]})).raise_for_status()
    if bmc is not None:
        power = {"kind": "redfish", "url": bmc, "user": "admin", "password": "password"}
        (await operator.put(f"/api/machines/{name}/power", json={"power": power})).raise_for_status()

    async def ready() -> bool:
        return bool((await operator.get(f"/api/machines/{name}")).json()["state"] == "ready")

    await eventually(ready)


async def test_a_machine_whose_golden_frame_fails_is_drained_restarted_and_returned_after_a_good_one(
    cluster: NomadCluster, healing_settings: Settings, bmc: str, tmp_path: Path
) -> None:
    process = build_process(healing_settings)
    app = process.app()
    async with app.router.lifespan_context(app), operator_of(app) as operator:
        node = CheckedNode(await asyncio.to_thread(cluster.add_client, "heal1"), tmp_path / "heal1")
        output = await node.check()
        await make_ready(app, operator, "heal1", bmc)

        def facts() -> dict[str, Any]:
            return dict(cluster.server.get(f"/v1/node/{node.client.node_id}"))

        assert facts()["SchedulingEligibility"] == "eligible", output + str(facts())
        node.well.unlink()
        async with checking(node):
            case = await in_state(operator, "heal1", "checking")
            assert (case["cause"], case["restarts"], case["reinstalls"]) == ("checks", 1, 0)
            assert "The golden frame is another one." in case["finding"]
            assert facts()["SchedulingEligibility"] == "ineligible"
            await asyncio.sleep(1)
            assert (await case_of(operator, "heal1"))["state"] == "checking", "it was not restarted yet"
            assert await read_state(process.metrics, "healing_cases", state="checking") == 1
        node.well.touch()
        await asyncio.to_thread(node.restart)
        healed = metric_value("healing_ended", state="recovered", cause="checks")
        async with checking(node):
            case = await in_state(operator, "heal1", "recovered")
        assert metric_value("healing_ended", state="recovered", cause="checks") == healed + 1
        assert facts()["SchedulingEligibility"] == "eligible"
        events = await app.state.provisioning.events.read("machines", limit=1000)
        healing = [event for event in events if event.kind == "machine.healing"]
        assert [event.data["healing"] for event in healing] == [
            "waiting", "draining", "restarting", "checking", "recovered",
        ]  # fmt: skip
        [power] = [event for event in events if event.kind == "machine.power"]
        assert power.data["actions"] == ["cycle"] and power.data["by"] == "self-healing"
        assert {event.trace_id for event in [*healing, power]} == {case["trace_id"]}
        assert (await operator.get("/api/healing")).json() == []


async def test_a_machine_whose_card_fails_is_held_and_a_spare_works_in_its_place_until_it_is_back(
    cluster: NomadCluster, healing_settings: Settings, bmc: str, tmp_path: Path
) -> None:
    """The machine's own checks do not see the card: Nomad does."""
    cards = [{"uuid": "GPU-1", "model": "Card", "memory_mib": 8000}]
    failing, spare = [
        CheckedNode(await asyncio.to_thread(cluster.add_client, name, cards), tmp_path / name)
        for name in ("card1", "card2")
    ]
    settings = healing_settings
    loose = settings.provisioning.healing.model_copy(update={"share_percent": 100})
    provisioning = settings.provisioning.model_copy(update={"healing": loose})
    app = build_process(settings.model_copy(update={"provisioning": provisioning})).app()

    def node_of(node: CheckedNode) -> dict[str, Any]:
        return dict(cluster.server.get(f"/v1/node/{node.client.node_id}"))

    async def eligible(node: CheckedNode, expected: bool) -> None:
        async def is_so() -> bool:
            return (node_of(node)["SchedulingEligibility"] == "eligible") is expected

        await eventually(is_so)

    async with app.router.lifespan_context(app), operator_of(app) as operator:
        await failing.check()
        await spare.check()
        await make_ready(app, operator, "card1", bmc)
        await make_ready(app, operator, "card2")
        (await operator.patch("/api/machines/card2", json={"tags": ["spare"]})).raise_for_status()
        await eligible(spare, False)
        async with checking(failing, spare):
            await eligible(spare, False)
            failing.client.cards.change("GPU-1", fault="fell off the bus")
            case = await in_state(operator, "card1", "needs_operator")
            assert (case["cause"], case["consent"]) == ("card", "last_of_kind")
            assert "fell off the bus" in case["finding"]
            await eligible(spare, True)
            await eligible(failing, True)
            body = {"confirm": "card1", "plan": case["plan"]["digest"]}
            (await operator.post("/api/machines/card1/healing/resume", json=body)).raise_for_status()
            case = await in_state(operator, "card1", "checking")
            assert case["spare"] == "card2"
            assert "soundstage_health" not in node_of(failing)["LastDrain"]["Meta"], (
                "its checks may not lift it"
            )
        failing.client.cards.change("GPU-1", fault="")
        await asyncio.to_thread(failing.restart)
        async with checking(failing, spare):
            await in_state(operator, "card1", "recovered")
            await eligible(failing, True)
            await eligible(spare, False)
