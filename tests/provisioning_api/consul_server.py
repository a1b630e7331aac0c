"""A real Consul on loopback with ACLs that deny by default, and agents that join it; for the tests of this
room.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "nomad_fixture"))

from nomad_cluster import engine_program
from ports import free_ports
from waiting import eventually

PATIENCE_S = 120


class ConsulAgent:
    """One agent. `ask` speaks to its API with a token of the caller's choice."""

    def __init__(self, folder: Path, name: str, config: dict[str, Any]) -> None:
        folder.mkdir(parents=True)
        http, server, self.lan = free_ports(3)
        self.url = f"http://127.0.0.1:{http}"
        ports = {"http": http, "server": server, "serf_lan": self.lan, "serf_wan": -1}
        content = {
            "node_name": name,
            "bind_addr": "127.0.0.1",
            "data_dir": str(folder / "data"),
            "ports": {**ports, "dns": -1, "grpc": -1, "grpc_tls": -1},
            "acl": {"enabled": True, "default_policy": "deny", **config.pop("acl", {})},
            "performance": {"raft_multiplier": 1},
            "disable_update_check": True,
            **config,
        }
        (folder / "consul.json").write_text(json.dumps(content))
        with (folder / "consul.log").open("wb") as log:
            self._process = subprocess.Popen(
                [engine_program("consul"), "agent", "-config-file", folder / "consul.json"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ask(self, method: str, path: str, token: str = "", **more: Any) -> httpx.Response:
        return httpx.request(
            method, self.url + path, headers={"X-Consul-Token": token}, timeout=20, trust_env=False, **more
        )

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)


class Consul:
    """A server, its bootstrap token, and agents that tests start beside it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.server = ConsulAgent(folder / "server", "server", {"server": True, "bootstrap_expect": 1})
        stack.callback(self.server.stop)
        self.token = str(eventually(self._bootstrap, "Consul", PATIENCE_S))

    def agent(self, name: str, token: str) -> ConsulAgent:
        """Joins as a node of that name, with that agent token."""
        config = {"retry_join": [f"127.0.0.1:{self.server.lan}"], "acl": {"tokens": {"agent": token}}}
        agent = ConsulAgent(self._folder / name, name, config)
        self._stack.callback(agent.stop)
        return agent

    def nodes(self) -> set[str]:
        return {one["Node"] for one in self.server.ask("GET", "/v1/catalog/nodes", self.token).json()}

    def knows(self, token: str) -> bool:
        """Whether a token is worth anything."""
        return self.server.ask("GET", "/v1/acl/token/self", token).is_success

    def _bootstrap(self) -> str | None:
        try:
            answer = self.server.ask("PUT", "/v1/acl/bootstrap")
        except httpx.HTTPError:
            return None
        return str(answer.json()["SecretID"]) if answer.is_success else None


@contextmanager
def running_consul(folder: Path) -> Iterator[Consul]:
    with ExitStack() as stack:
        yield Consul(folder, stack)
