"""Job files against a real Nomad, through the nomad program as people use it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))
from nomad_cluster import NomadCluster, nomad_clusters, nomad_program

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
    program = nomad_program()
    environment = {**os.environ, "NOMAD_ADDR": cluster.server.address, "NOMAD_CLI_SHOW_HINTS": "0"}

    def call(*arguments: str, ok: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode in ok, done.stdout + done.stderr
        return done

    return call
