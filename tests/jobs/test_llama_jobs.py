"""A real llama.cpp server as a job: deployed as the tool does it, found in Consul, killed and used again."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from brain_answers import answer
from llama_server import HOW, llama_programs  # type: ignore[import-not-found]
from nomad_cluster import NomadCluster  # type: ignore[import-not-found]
from tiny_gguf import AFTER_A_TOOL, SENTENCE, write_speaking  # type: ignore[import-not-found]
from waiting import eventually

from agent.events import BrainEvent, Failure, Notice, Text, TextPart
from app.composition import Services, open_services
from farm.nomad import NomadAddress
from farm.nomad.operating import OperatorClient
from policy import Principal
from soundstage.settings import Settings

pytestmark = [pytest.mark.root, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120
QUESTION = "tell me, how are things going around here today?"
PAUSE_S = 8.0
"""How long the circuit breaker rests an expert here."""


@dataclass(frozen=True)
class Place:
    """A node with llama.cpp and a model in a host volume, as the playbook makes one."""

    cluster: NomadCluster
    consul: str

    async def deploy(self, name: str, **variables: Any) -> None:
        """As the tool change_job does."""
        text = (ROOT / "jobs" / f"{name}.nomad.hcl").read_text()
        given = {"program_volume": "soundstage", "gpus": 0, "memory_mb": 512, "cpu": 500, **variables}
        async with OperatorClient(NomadAddress(self.cluster.server.address)) as nomad:
            job = await nomad.parse_job(text, given)
            plan_job = await nomad.plan(job)
            assert not plan_job.get("FailedTGAllocs"), plan_job["FailedTGAllocs"]
            await nomad.deploy(job, int(plan_job.get("JobModifyIndex") or 0))

    def services(self, name: str) -> list[dict[str, Any]]:
        """What Consul knows of a service, whether it is well or not: `Service`, `Checks`."""
        with urllib.request.urlopen(f"{self.consul}/v1/health/service/{name}", timeout=10) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())
        return found

    def well(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        found = [
            one["Service"]
            for one in self.services(name)
            if {check["Status"] for check in one["Checks"]} == {"passing"}
        ]
        return found if len(found) == count else []

    def wait_until_well(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        try:
            return list(eventually(lambda: self.well(name, count), f"{name} to be healthy", PATIENCE_S))
        except AssertionError as error:
            raise AssertionError(f"{error}; its log:\n{self.log(name)}") from error

    def log(self, job: str) -> str:
        """The end of what the newest allocation wrote, also before a restart."""
        newest = max(self.cluster.allocations(job), key=lambda one: one["CreateIndex"])["ID"]
        return "".join(
            path.read_text(errors="replace")[-20000:]
            for client in self.cluster.clients.values()
            for path in sorted(client.data_dir.glob(f"alloc/{newest}/alloc/logs/serve.stderr.*"))
        )


def running(program: str, port: int) -> int:
    """Its process, which is there."""
    found = pid_of(program, port)
    assert found is not None, f"no {program} with the port {port}"
    return found


def pid_of(program: str, port: int) -> int | None:
    """Of the process of this name that was told this port."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # no process, or gone meanwhile
        if words[0].endswith(program.encode()) and str(port).encode() in words:
            return int(entry.name)
    return None


@pytest.fixture(scope="module")
def place(
    nomad_clusters: Callable[..., NomadCluster], consul: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    programs = llama_programs()
    if programs is None:
        pytest.skip(HOW)
    volume = tmp_path_factory.mktemp("opt")
    shutil.copytree(programs, volume / "llama.cpp")
    (volume / "weights").mkdir()
    write_speaking(volume / "weights" / "expert.gguf", width=384, layers=2)
    write_speaking(volume / "weights" / "large.gguf", width=640, layers=6)
    volume.chmod(0o755)
    cluster = nomad_clusters("models")
    consul.nomad_client(cluster, "models-1", volumes={"soundstage": volume})
    yield Place(cluster, consul.address)


@pytest.fixture
async def brain(tmp_path: Path, place: Place) -> AsyncIterator[Services]:
    """An agent that looks for experts in that Consul."""
    experts = {"consul_url": place.consul, "refresh_s": 0.2, "timeout_s": 60.0}
    chosen = Settings.model_validate({"state_dir": tmp_path / "state", "experts": experts})
    async with open_services(chosen) as services:
        yield services


@pytest.fixture
def deployed(place: Place) -> Iterator[Place]:
    """The place, from which all jobs are taken afterwards."""
    yield place
    server = place.cluster.server
    for job in server.get("/v1/jobs"):
        server.delete(f"/v1/job/{job['ID']}")

    def ended() -> bool:
        return {one["ClientStatus"] for one in server.get("/v1/allocations")} <= {
            "complete",
            "failed",
            "lost",
        }

    # A server that still loads ends only when it is killed; a cluster that goes first leaves it behind.
    eventually(ended, "the jobs to end", PATIENCE_S)


async def say(services: Services, sentence: str) -> list[BrainEvent]:
    conversation = await services.brain.sessions.open(Principal.local_admin("test"))
    return await answer(services.brain, conversation, sentence)


def texts(events: list[BrainEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Text)]


async def states(services: Services) -> list[str]:
    return [one.state for one in (await services.experts.survey()).experts]


async def waited(check: Callable[[], Any], what: str) -> Any:
    return await asyncio.to_thread(eventually, check, what, PATIENCE_S)


async def answers(services: Services) -> None:
    """Waits until the expert has answered once."""
    async with asyncio.timeout(PATIENCE_S):
        while texts(await say(services, QUESTION)) != [SENTENCE]:  # noqa: ASYNC110 - an expert tells nobody
            await asyncio.sleep(0.5)


async def test_a_server_that_is_deployed_is_found_answers_and_is_used_again_after_kill_9(
    deployed: Place, brain: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.experts.router.PAUSE_S", PAUSE_S)
    await deployed.deploy("llm-expert", model="tiny", topics="tides")
    [service] = await asyncio.to_thread(deployed.wait_until_well, "llm-expert")
    assert service["Tags"] == ["soundstage", "llm-expert", "topic=tides"]
    events = await say(brain, QUESTION)
    assert len([event for event in events if isinstance(event, TextPart)]) == len(SENTENCE.split())
    assert texts(events) == [SENTENCE]
    assert texts(await say(brain, f"{QUESTION} (call)"))[-1] == AFTER_A_TOOL
    assert await states(brain) == ["well"]

    os.kill(running("llama-server", service["Port"]), signal.SIGKILL)
    for _ in range(3):
        events = await say(brain, "lst my vidoes")
        [notice] = [event for event in events if isinstance(event, Notice)]
        assert notice.code in ("model.unreachable", "model.none")
        [failure] = [event for event in events if isinstance(event, Failure)]
        assert "List my videos" in failure.suggestions, "the grammar answers"
    assert set(await states(brain)) <= {"resting"}
    await asyncio.to_thread(deployed.wait_until_well, "llm-expert")

    await answers(brain)
    assert await states(brain) == ["well"]
    [allocation] = deployed.cluster.allocations("llm-expert")
    assert allocation["TaskStates"]["serve"]["Restarts"] == 1


@pytest.mark.timeout(600)
async def test_a_model_that_a_pool_shares_is_asked_once_it_is_loaded_and_outlives_its_pool(
    deployed: Place, brain: Services
) -> None:
    await deployed.deploy("llamacpp-rpc", host_network="default")
    [pool] = await asyncio.to_thread(deployed.wait_until_well, "llamacpp-rpc")
    rpc = running("ggml-rpc-server", pool["Port"])
    large = "/opt/soundstage/weights/large.gguf"
    await deployed.deploy("llm-expert", rpc_service="llamacpp-rpc", model_file=large)

    # It has begun to load: while its pool stands still it comes to no end.
    [registered] = await waited(lambda: deployed.services("llm-expert"), "the expert to be registered")
    port = registered["Service"]["Port"]
    await asyncio.to_thread(wait_for_loading, port)
    os.kill(rpc, signal.SIGSTOP)
    try:
        # Longer than the checks take to come again.
        await asyncio.sleep(12)
        assert health(port) == 503
        assert deployed.well("llm-expert") == [] and await states(brain) == []
    finally:
        os.kill(rpc, signal.SIGCONT)
    await asyncio.to_thread(deployed.wait_until_well, "llm-expert")
    await answers(brain)
    await asyncio.sleep(12)
    assert connections_that_wait(pool["Port"]) == 0, "a check that connects would be one"

    os.kill(rpc, signal.SIGKILL)
    events = await say(brain, QUESTION)
    assert [event.code for event in events if isinstance(event, Notice)] == ["model.cut_off"]
    await answers(brain)
    assert pid_of("ggml-rpc-server", pool["Port"]) not in (None, rpc)


def wait_for_loading(port: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while health(port) != 503:
        assert time.monotonic() < until, "the expert was not seen to load"
        time.sleep(0.01)


def health(port: int) -> int:
    """The status that the server answers with; 0 while it does not."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def connections_that_wait(port: int) -> int:
    """How many connections nobody has accepted yet (tcp_diag: the receive queue of a socket that listens)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if state == "0A" and local.endswith(f":{port:04X}"):
            return int(queues.split(":")[1], 16)
    raise AssertionError(f"nobody listens on {port}")
