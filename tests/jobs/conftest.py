"""Job files against a real Nomad, through the nomad program as people use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))
sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))
from nomad_cluster import (
    NomadAgent,
    NomadCluster,
    engine_program,
    nomad_clusters,
    nomad_program,
)
from ports import free_ports
from waiting import eventually

__all__ = ["nomad_clusters"]

ROOT = Path(__file__).resolve().parents[2]
Nomad = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cluster(
    nomad_clusters: Callable[..., NomadCluster], tmp_path_factory: pytest.TempPathFactory
) -> NomadCluster:
    """One node with a card of 8 GiB and a host volume for inputs."""
    made = nomad_clusters("jobs")
    card = {"uuid": "GPU-11111111-aaaa-0000-0000-000000000001", "model": "RTX 4060", "memory_mib": 8188}
    volume = {"inputs": {"path": str(tmp_path_factory.mktemp("inputs")), "read_only": False}}
    made.add_client("gpu", [card], client={"network_interface": "lo", "host_volume": volume})
    return made


@pytest.fixture(scope="session")
def nomad(cluster: NomadCluster) -> Nomad:
    """`nomad("job", "run", ...)` in the checkout."""
    return _calling(cluster)


@pytest.fixture(scope="session")
def calling() -> Callable[[NomadCluster], Nomad]:
    """The nomad program, told of a cluster. `ok`: exit codes that are no failure."""
    return _calling


def _calling(cluster: NomadCluster) -> Nomad:
    program = nomad_program()
    environment = {**os.environ, "NOMAD_ADDR": cluster.server.address, "NOMAD_CLI_SHOW_HINTS": "0"}

    def call(*arguments: str, ok: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode in ok, done.stdout + done.stderr
        return done

    return call


@dataclass(frozen=True)
class Consul:
    """A Consul agent on loopback."""

    port: int
    grpc_port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def nomad_client(self, cluster: NomadCluster, name: str, volumes: Mapping[str, Path] = {}) -> NomadAgent:
        """Another node of the cluster, which knows this Consul; started. `volumes` may be read by jobs."""
        options = {
            "enabled": True,
            "network_interface": "lo",
            "server_join": {"retry_join": [cluster.server.rpc_address], "retry_interval": "1s"},
            "cpu_total_compute": 8000,
            "host_volume": {name: {"path": str(path), "read_only": True} for name, path in volumes.items()},
            "options": {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean,cni,vault"},
        }
        client = NomadAgent(
            name,
            cluster.server.folder.parent / name,
            {
                "consul": {
                    "address": f"127.0.0.1:{self.port}",
                    "grpc_address": f"127.0.0.1:{self.grpc_port}",
                },
                "client": options,
                "plugin": {"raw_exec": {"config": {"enabled": True}}},
            },
        )
        cluster.clients[name] = client
        client.start()
        return client


@pytest.fixture(scope="session")
def consul(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
    """A real Consul."""
    program = engine_program("consul")
    folder = tmp_path_factory.mktemp("consul")
    ports = free_ports(6)
    names = ("http", "dns", "server", "serf_lan", "serf_wan", "grpc")
    config = folder / "consul.json"
    config.write_text(json.dumps({"ports": {**dict(zip(names, ports, strict=True)), "grpc_tls": -1}}))
    with (folder / "consul.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "agent", "-dev", "-bind", "127.0.0.1", "-config-file", config], stdout=log, stderr=log
        )
        try:
            made = Consul(ports[0], ports[5])
            eventually(lambda: answers(f"{made.address}/v1/status/leader"), "Consul to have a leader", 60)
            yield made
        finally:
            process.terminate()
            process.wait(60)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.read())
    except OSError:
        return False
