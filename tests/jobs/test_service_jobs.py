"""The jobs that run this project's own servers do so: on a real Nomad, found in a real Consul."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from nomad_cluster import NomadCluster, engine_program  # type: ignore[import-not-found]
from ports import free_ports
from waiting import eventually

from agent.voice.transports.livekit_keys import LiveKitKeys
from agent.voice.transports.livekit_rooms import LiveKitRooms
from soundstage.errors import SoundstageError

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[2]
SOUNDSTAGE = ROOT / ".venv" / "bin" / "soundstage"
EXPERT = ROOT / "tests" / "servers" / "scripted_expert.py"
KEY = "a-key-of-the-administrator-for-tests"
EXPERT_KEY = "a-key-of-experts"
PATIENCE_S = 120
UNKNOWN = "Whereto do swallows vanish come autumn?"
"""No tool answers this."""
LISTENS = """
import os, socketserver
address = os.environ["HOST"], int(os.environ["PORT"])
socketserver.TCPServer(address, socketserver.BaseRequestHandler).serve_forever()
"""
"""Stands in for llama.cpp's rpc-server."""


@dataclass(frozen=True)
class ServiceCluster:
    """One node that knows a Consul, and what belongs to its agent."""

    cluster: NomadCluster
    nomad: Callable[..., subprocess.CompletedProcess[str]]
    consul: str
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def run(self, name: str, *more: str) -> None:
        self.nomad("job", "run", "-detach", "-var", "driver=raw_exec", *more, f"jobs/{name}.nomad.hcl")

    def end(self, job: str) -> None:
        self.nomad("job", "stop", "-purge", "-detach", job, ok=(0, 1))

    def found(self, service: str) -> list[dict[str, Any]]:
        """Its healthy instances."""
        with urllib.request.urlopen(f"{self.consul}/v1/health/service/{service}?passing", timeout=10) as got:
            return [one["Service"] for one in json.loads(got.read())]

    def url(self, service: str) -> str:
        """Where it is, once Consul says that it is well."""
        try:
            one = eventually(lambda: self.found(service), f"{service} to be healthy", PATIENCE_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; its log:\n{self.log(service)}") from error
        return f"http://{one[0]['Address']}:{one[0]['Port']}"

    def log(self, job: str) -> str:
        logged = self.nomad("alloc", "logs", "-job", "-stderr", job, ok=(0, 1))
        return logged.stdout + logged.stderr + self.nomad("job", "status", job, ok=(0, 1)).stdout

    def main_pid(self, program: str) -> int | None:
        """Of the process of a task that holds this in its command line, under our state folder."""
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                own = f"SOUNDSTAGE_STATE_DIR={self.state}".encode()
                if program.encode() in words and own in (entry / "environ").read_bytes().split(b"\0"):
                    return int(entry.name)
            except OSError:
                continue  # no process, or gone meanwhile
        return None


@pytest.fixture(scope="module")
def services(
    nomad_clusters: Callable[..., NomadCluster],
    consul: Any,
    calling: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> ServiceCluster:
    cluster = nomad_clusters("services")
    consul.nomad_client(cluster, "control-1")
    folder = tmp_path_factory.mktemp("services")
    created = ServiceCluster(cluster, calling(cluster), consul.address, folder)
    created.config.write_text(
        "[auth]\n"
        f'api_key_hashes = "{hashlib.sha256(KEY.encode()).hexdigest()}"\n'
        "[experts]\n"
        f'consul_url = "{consul.address}"\n'
        "refresh_s = 0.2\n"
    )
    return created


@pytest.fixture(scope="module")
def agent(services: ServiceCluster) -> Iterator[httpx.Client]:
    """The agent as a job, and a client of it with the administrator's key.

    Its key for experts comes out of a Nomad Variable.
    """
    services.nomad("var", "put", "-force", "nomad/jobs/agent", f"expert_key={EXPERT_KEY}")
    key_file = 'SOUNDSTAGE_EXPERTS__API_KEY_FILE = "$${NOMAD_SECRETS_DIR}/expert_key"'
    env = '{SOUNDSTAGE_VOICE__ENABLED = "false", ' + key_file + "}"
    services.run(
        "agent",
        *("-var", f"command={SOUNDSTAGE}", "-var", f"config_file={services.config}"),
        *("-var", f"state_dir={services.state}", "-var", "port=0", "-var", "node=control-1"),
        *("-var", 'secrets=["expert_key"]', "-var", f"env={env}"),
    )
    try:
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(
            base_url=services.url("agent"), headers=headers, trust_env=False, timeout=PATIENCE_S
        ) as client:
            yield client
    finally:
        services.end("agent")


def say(agent: httpx.Client, message: str, session: str | None = None) -> Any:
    answer = agent.post("/api/chat", json={"message": message, "session_id": session})
    answer.raise_for_status()
    return answer.json()


def test_the_agent_job_answers_and_comes_back_with_its_state_after_kill_9(
    services: ServiceCluster, agent: httpx.Client
) -> None:
    first = say(agent, "who can speak?")
    assert "Nova" in first["reply"]
    logged = services.nomad("alloc", "logs", "-job", "agent").stdout
    assert "Soundstage is up" in logged and "key" not in logged
    registered = json.dumps(services.cluster.server.get("/v1/job/agent"))
    assert EXPERT_KEY not in registered and KEY not in registered
    before = services.main_pid("up")
    assert before is not None
    os.kill(before, signal.SIGKILL)

    def again() -> bool:
        after = services.main_pid("up")
        if after in (None, before):
            return False
        try:
            return agent.get("/api/health").is_success
        except httpx.HTTPError:
            return False

    eventually(again, "Nomad to start it again", PATIENCE_S)
    turns = agent.get(f"/api/chat/sessions/{first['session_id']}/turns").json()
    assert [turn["utterance"] for turn in turns] == ["who can speak?"]
    assert "Nova" in say(agent, "who can speak?", first["session_id"])["reply"]


def test_an_expert_of_the_farm_is_found_and_answers_what_the_grammar_does_not_know(
    services: ServiceCluster, agent: httpx.Client
) -> None:
    services.nomad("var", "put", "-force", "nomad/jobs/llm-expert", f"api_key={EXPERT_KEY}")
    arguments = [str(EXPERT), "South, over $LLAMA_ARG_RPC", "$${NOMAD_SECRETS_DIR}/api_key"]
    stand_in = ("-var", f"command={sys.executable}", "-var", "gpus=0", "-var", "memory_mb=128")
    services.run(
        "llamacpp-rpc",
        *stand_in,
        "-var",
        "host_network=default",
        "-var",
        f"args={json.dumps(['-c', LISTENS])}",
    )
    try:
        pool = services.url("llamacpp-rpc").removeprefix("http://")
        services.run(
            "llm-expert",
            *(*stand_in, "-var", f"args={json.dumps(arguments)}", "-var", "api_key=true"),
            *("-var", "rpc_service=llamacpp-rpc", "-var", "topics=birds", "-var", "model=scripted"),
        )
        url = services.url("llm-expert")
        (expert,) = eventually(lambda: tried(services), "an expert that answers", PATIENCE_S)
        assert (expert["address"], expert["topics"]) == (f"{url}/v1", ["birds"])
        assert (expert["calls"], expert["failures"]) == (1, 0)
        assert f"South, over {pool}" in eventually(
            lambda: answered(agent, "South"), "the expert to be asked", PATIENCE_S
        )
    finally:
        services.end("llm-expert")
        services.end("llamacpp-rpc")
    eventually(lambda: not services.found("llm-expert"), "the expert to leave Consul", PATIENCE_S)
    eventually(
        lambda: not agent.get("/api/chat/experts").json()["experts"], "the agent to see it", PATIENCE_S
    )
    assert "South" not in say(agent, UNKNOWN)["reply"]
    assert "Nova" in say(agent, "who can speak?")["reply"]


def tried(services: ServiceCluster) -> list[dict[str, Any]]:
    """Experts that are well. On a busy machine a check of Consul can be too late once, and hides one."""
    listed = json.loads(ran(services, "experts", "--try", "--json"))["experts"]
    return [one for one in listed if one["state"] == "well"]


def answered(agent: httpx.Client, word: str) -> str:
    """The reply when it holds the word: the agent looks into Consul every now and then only."""
    reply: str = say(agent, UNKNOWN)["reply"]
    return reply if word in reply else ""


def ran(services: ServiceCluster, *command: str) -> str:
    """What a command of the program printed, with the agent's settings."""
    key_file = services.folder / "expert.key"
    key_file.write_text(EXPERT_KEY)
    done = subprocess.run(
        [SOUNDSTAGE, "--config-file", services.config, *command],
        env={
            **os.environ,
            "SOUNDSTAGE_STATE_DIR": str(services.state),
            "SOUNDSTAGE_EXPERTS__API_KEY_FILE": str(key_file),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_provisioning_job_answers_on_both_ports_and_asks_for_a_key(services: ServiceCluster) -> None:
    services.run(
        "provisioning-api",
        *("-var", f"command={sys.executable}", "-var", f"config_file={services.config}"),
        *("-var", f"state_dir={services.folder / 'machines'}", "-var", "port=0", "-var", "tls_port=0"),
    )
    try:
        url = services.url("provisioning-api")
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
            assert client.get("/api/health").is_success
            assert client.get("/api/machines").status_code == 401
            headers = {"Authorization": f"Bearer {KEY}"}
            assert client.get("/api/machines", headers=headers).json() == []
        (allocation,) = services.cluster.allocations("provisioning-api")
        shown = services.cluster.server.get(f"/v1/allocation/{allocation['ID']}")
        ports = {one["Label"]: one["Value"] for one in shown["AllocatedResources"]["Shared"]["Ports"]}
        tls = f"https://127.0.0.1:{ports['tls']}/api/health"
        # Its certificate is its own; whom to trust is the matter of enrolment.
        assert httpx.get(tls, verify=False, trust_env=False, timeout=PATIENCE_S).is_success  # noqa: S501
    finally:
        services.end("provisioning-api")


def test_a_voice_worker_comes_back_when_it_is_killed_and_moves_when_its_node_is_drained(
    services: ServiceCluster, agent: httpx.Client
) -> None:
    for name in ("voice-1", "voice-2"):
        services.cluster.add_client(name, client={"network_interface": "lo"})
    token = "a-token-of-voice-workers"
    (services.state / "voice-worker.token").write_text(token)
    services.nomad("var", "put", "-force", "nomad/jobs/voice", f"token={token}")
    services.run(
        "voice",
        *("-var", f"command={SOUNDSTAGE}", "-var", f"server_url={str(agent.base_url).rstrip('/')}"),
        *("-var", 'nodes=["voice-1", "voice-2"]', "-var", "memory_mb=512"),
    )
    try:
        wait_for_workers(services, agent, 1)
        assert token not in json.dumps(services.cluster.server.get("/v1/job/voice"))
        (before,) = running(services, "voice")
        services.nomad("alloc", "signal", "-s", "SIGKILL", before["ID"])
        eventually(lambda: restarts(services, before["ID"]) == 1, "Nomad to start it again", PATIENCE_S)
        wait_for_workers(services, agent, 1)

        node = before["NodeID"]
        services.nomad("node", "drain", "-enable", "-ignore-system", "-detach", "-yes", node)
        try:
            eventually(
                lambda: [one["NodeID"] for one in running(services, "voice")] not in ([], [node]),
                "the worker to move",
                PATIENCE_S,
            )
            wait_for_workers(services, agent, 1)
        finally:
            services.nomad("node", "drain", "-disable", "-yes", node)
    finally:
        services.end("voice")


def test_livekit_as_a_job_knows_its_key_alone_and_comes_back_when_it_is_killed(
    services: ServiceCluster, tmp_path: Path
) -> None:
    keys = LiveKitKeys("APItests", "a-secret-of-livekit-for-tests-0123456789")
    (tmp_path / "livekit.keys").write_text(keys.file)
    stored = f"keys=@{tmp_path / 'livekit.keys'}"
    services.nomad("var", "put", "-force", "nomad/jobs/livekit", stored, f"api_key={keys.api_key}")
    ports = zip(("port", "tcp_port", "udp_port", "metrics_port"), free_ports(4), strict=True)
    own = [word for name, port in ports for word in ("-var", f"{name}={port}")]
    webhooks = ("-var", 'webhooks=["http://127.0.0.1:9/webhook"]')
    services.run("livekit", "-var", f"command={engine_program('livekit')}", *own, *webhooks)
    try:
        url = services.url("livekit")
        assert rooms_of(LiveKitRooms(url, url, keys)) == {}
        with pytest.raises(SoundstageError) as refused:
            rooms_of(LiveKitRooms(url, url, LiveKitKeys(keys.api_key, keys.secret[::-1])))
        assert refused.value.code == "voice.no_livekit"
        assert keys.secret not in json.dumps(services.cluster.server.get("/v1/job/livekit"))
        (before,) = running(services, "livekit")
        services.nomad("alloc", "signal", "-s", "SIGKILL", before["ID"])
        eventually(lambda: restarts(services, before["ID"]) == 1, "Nomad to start it again", PATIENCE_S)
        assert rooms_of(LiveKitRooms(url, url, keys), wait=True) == {}
    finally:
        services.end("livekit")


def rooms_of(rooms: LiveKitRooms, *, wait: bool = False) -> dict[str, int]:
    def read() -> dict[str, int] | None:
        try:
            return asyncio.run(rooms.participants())
        except SoundstageError:
            if not wait:
                raise
            return None

    found: dict[str, int] = eventually(
        lambda: {"rooms": one} if (one := read()) is not None else None, "LiveKit to answer", PATIENCE_S
    )["rooms"]
    return found


def running(services: ServiceCluster, job: str) -> list[dict[str, Any]]:
    return [one for one in services.cluster.allocations(job) if one["ClientStatus"] == "running"]


def restarts(services: ServiceCluster, allocation: str) -> int:
    states = services.cluster.server.get(f"/v1/allocation/{allocation}")["TaskStates"] or {}
    return sum(one["Restarts"] for one in states.values() if one["State"] == "running")


def wait_for_workers(services: ServiceCluster, agent: httpx.Client, count: int) -> None:
    try:
        eventually(
            lambda: agent.get("/api/voice/status").json()["workers"] == count,
            f"{count} voice workers",
            PATIENCE_S,
        )
    except AssertionError as error:
        raise AssertionError(f"{error}; its log:\n{services.log('voice')}") from error
