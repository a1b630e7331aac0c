"""A real Nomad with ACLs, server and client in one, for the tests of what drains nodes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leftovers import clear_away
from nomad_cluster import NomadAgent
from waiting import eventually


class SecuredAgent(NomadAgent):
    """The program on trial has nothing but the node's own secret; tests have the management token."""

    token = ""

    def bootstrap(self) -> bool:
        """Returns whether it had a token for us; a first leader may have none yet."""
        try:
            self.token = super()._call("PUT", "/v1/acl/bootstrap")["SecretID"]
        except urllib.error.HTTPError:
            return False
        return True

    def node(self) -> dict[str, Any]:
        node_id = (self.data_dir / "client" / "client-id").read_text().strip()
        answer: dict[str, Any] = self._call("GET", f"/v1/node/{node_id}")
        return answer

    def running(self) -> list[str]:
        return [
            one["ID"] for one in self.get("/v1/job/sleeper/allocations") if one["ClientStatus"] == "running"
        ]

    def plain(self, path: str) -> str:
        return self._answer("GET", path).decode()

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        text = self._answer(method, path, body)
        return json.loads(text) if text.strip() else None

    def _answer(self, method: str, path: str, body: Any = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + path, data=data, method=method, headers={"X-Nomad-Token": self.token}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())


@contextmanager
def run_secured_agent(folder: Path) -> Iterator[SecuredAgent]:
    options = {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean,cni,consul,vault"}
    agent = SecuredAgent(
        "secured",
        folder,
        {
            "server": {"enabled": True, "bootstrap_expect": 1},
            "client": {"enabled": True, "options": options},
            "acl": {"enabled": True},
            "plugin": [{"raw_exec": [{"config": [{"enabled": True}]}]}],
        },
    )
    agent.start()
    try:
        eventually(agent.bootstrap, "the ACL system", 60)
        eventually(
            lambda: [one for one in agent.get("/v1/nodes") if one["Status"] == "ready"], "the node", 60
        )
        yield agent
    finally:
        agent.stop()
        clear_away(folder)
