"""The jobs that run this project's own servers do so: on a real Nomad, found in a real Consul."""

from __future__ import annotations

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
from nomad_cluster import NomadCluster  # type: ignore[import-not-found]
from waiting import eventually

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
class House:
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
        said = self.nomad("alloc", "logs", "-job", "-stderr", job, ok=(0, 1))
        return said.stdout + said.stderr + self.nomad("job", "status", job, ok=(0, 1)).stdout

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
def house(
    nomad_clusters: Callable[..., NomadCluster],
    consul: Any,
    calling: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> House:
    cluster = nomad_clusters("services")
    consul.nomad_client(cluster, "control-1")
    folder = tmp_path_factory.mktemp("house")
    made = House(cluster, calling(cluster), consul.address, folder)
    made.config.write_text(
        "[auth]\n"
        f'api_key_hashes = "{hashlib.sha256(KEY.encode()).hexdigest()}"\n'
        "[experts]\n"
        f'consul_url = "{consul.address}"\n'
        "refresh_s = 0.2\n"
    )
    return made


@pytest.fixture(scope="module")
def agent(house: House) -> Iterator[httpx.Client]:
    """The agent as a job, and a client of it with the administrator's key.

    Its key for experts comes out of a Nomad Variable.
    """
    house.nomad("var", "put", "-force", "nomad/jobs/agent", f"expert_key={EXPERT_KEY}")
    key_file = '{SOUNDSTAGE_EXPERTS__API_KEY_FILE = "$${NOMAD_SECRETS_DIR}/expert_key"}'
    house.run(
        "agent",
        *("-var", f"command={SOUNDSTAGE}", "-var", f"config_file={house.config}"),
        *("-var", f"state_dir={house.state}", "-var", "port=0", "-var", "node=control-1"),
        *("-var", 'secrets=["expert_key"]', "-var", f"env={key_file}"),
    )
    try:
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(
            base_url=house.url("agent"), headers=headers, trust_env=False, timeout=PATIENCE_S
        ) as client:
            yield client
    finally:
        house.end("agent")


def say(agent: httpx.Client, message: str, session: str | None = None) -> Any:
    answer = agent.post("/api/chat", json={"message": message, "session_id": session})
    answer.raise_for_status()
    return answer.json()


def test_the_agent_job_answers_and_comes_back_with_its_state_after_kill_9(
    house: House, agent: httpx.Client
) -> None:
    first = say(agent, "who can speak?")
    assert "Nova" in first["reply"]
    logged = house.nomad("alloc", "logs", "-job", "agent").stdout
    assert "Soundstage is up" in logged and "key" not in logged
    registered = json.dumps(house.cluster.server.get("/v1/job/agent"))
    assert EXPERT_KEY not in registered and KEY not in registered
    before = house.main_pid("up")
    assert before is not None
    os.kill(before, signal.SIGKILL)

    def again() -> bool:
        after = house.main_pid("up")
        if after in (None, before):
            return False
        try:
            return agent.get("/api/health").is_success
        except httpx.HTTPError:
            return False

    eventually(again, "Nomad to start it again", PATIENCE_S)
    kept = agent.get(f"/api/chat/sessions/{first['session_id']}/turns").json()
    assert [turn["utterance"] for turn in kept] == ["who can speak?"]
    assert "Nova" in say(agent, "who can speak?", first["session_id"])["reply"]


def test_an_expert_of_the_farm_is_found_and_answers_what_the_grammar_does_not_know(
    house: House, agent: httpx.Client
) -> None:
    house.nomad("var", "put", "-force", "nomad/jobs/llm-expert", f"api_key={EXPERT_KEY}")
    arguments = [str(EXPERT), "South, over $LLAMA_ARG_RPC", "$${NOMAD_SECRETS_DIR}/api_key"]
    stand_in = ("-var", f"command={sys.executable}", "-var", "gpus=0", "-var", "memory_mb=128")
    house.run(
        "llamacpp-rpc",
        *stand_in,
        "-var",
        "host_network=default",
        "-var",
        f"args={json.dumps(['-c', LISTENS])}",
    )
    try:
        pool = house.url("llamacpp-rpc").removeprefix("http://")
        house.run(
            "llm-expert",
            *(*stand_in, "-var", f"args={json.dumps(arguments)}", "-var", "api_key=true"),
            *("-var", "rpc_service=llamacpp-rpc", "-var", "topics=birds", "-var", "model=scripted"),
        )
        url = house.url("llm-expert")
        (expert,) = eventually(lambda: tried(house), "an expert that answers", PATIENCE_S)
        assert (expert["address"], expert["topics"]) == (f"{url}/v1", ["birds"])
        assert (expert["calls"], expert["failures"]) == (1, 0)
        assert f"South, over {pool}" in eventually(
            lambda: answered(agent, "South"), "the expert to be asked", PATIENCE_S
        )
    finally:
        house.end("llm-expert")
        house.end("llamacpp-rpc")
    eventually(lambda: not house.found("llm-expert"), "the expert to leave Consul", PATIENCE_S)
    eventually(
        lambda: not agent.get("/api/chat/experts").json()["experts"], "the agent to see it", PATIENCE_S
    )
    assert "South" not in say(agent, UNKNOWN)["reply"]
    assert "Nova" in say(agent, "who can speak?")["reply"]


def tried(house: House) -> list[dict[str, Any]]:
    """Experts that are well. On a busy machine a check of Consul can be too late once, and hides one."""
    listed = json.loads(ran(house, "experts", "--try", "--json"))["experts"]
    return [one for one in listed if one["state"] == "well"]


def answered(agent: httpx.Client, word: str) -> str:
    """The reply when it holds the word: the agent looks into Consul every now and then only."""
    reply: str = say(agent, UNKNOWN)["reply"]
    return reply if word in reply else ""


def ran(house: House, *command: str) -> str:
    """What a command of the program printed, with the agent's settings."""
    key_file = house.folder / "expert.key"
    key_file.write_text(EXPERT_KEY)
    done = subprocess.run(
        [SOUNDSTAGE, "--config-file", house.config, *command],
        env={
            **os.environ,
            "SOUNDSTAGE_STATE_DIR": str(house.state),
            "SOUNDSTAGE_EXPERTS__API_KEY_FILE": str(key_file),
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_provisioning_job_answers_on_both_ports_and_asks_for_a_key(house: House) -> None:
    house.run(
        "provisioning-api",
        *("-var", f"command={sys.executable}", "-var", f"config_file={house.config}"),
        *("-var", f"state_dir={house.folder / 'machines'}", "-var", "port=0", "-var", "tls_port=0"),
    )
    try:
        url = house.url("provisioning-api")
        with httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S) as client:
            assert client.get("/api/health").is_success
            assert client.get("/api/machines").status_code == 401
            headers = {"Authorization": f"Bearer {KEY}"}
            assert client.get("/api/machines", headers=headers).json() == []
        (allocation,) = house.cluster.allocations("provisioning-api")
        shown = house.cluster.server.get(f"/v1/allocation/{allocation['ID']}")
        ports = {one["Label"]: one["Value"] for one in shown["AllocatedResources"]["Shared"]["Ports"]}
        tls = f"https://127.0.0.1:{ports['tls']}/api/health"
        # Its certificate is its own; whom to trust is the matter of enrolment.
        assert httpx.get(tls, verify=False, trust_env=False, timeout=PATIENCE_S).is_success  # noqa: S501
    finally:
        house.end("provisioning-api")
