"""Asks the cluster's Nomad and Consul from here (called by `up`, drills and tests)."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from lab.network import connect
from lab.paths import LabPaths
from lab.plan import LabPlan
from soundstage.errors import Unavailable, Upstream

NOMAD_PORT, CONSUL_PORT = 4646, 8500
_TIMEOUT_S = 10.0
_T = TypeVar("_T")


class ClusterApi:
    """The servers' HTTP APIs. OSError when the machine does not answer, Upstream when it says no."""

    def __init__(self, lab: LabPaths, plan: LabPlan) -> None:
        self._lab = lab
        self._plan = plan
        self._server = next(one for one in plan.machines if one.role == "server")

    def nomad(self, method: str, path: str, body: Any = None) -> Any:
        return self._call(NOMAD_PORT, method, path, body)

    def consul(self, method: str, path: str) -> Any:
        return self._call(CONSUL_PORT, method, path, None)

    def node_states(self) -> dict[str, str]:
        """{machine: "ready" | "down" | "disconnected" …}"""
        return {one["Name"]: one["Status"] for one in self.nomad("GET", "/v1/nodes")}

    def wait_until_ready(self, timeout_s: float = 300) -> float:
        """Seconds until all clients are ready and all machines are members of Consul."""
        clients = {one.name for one in self._plan.machines if one.role == "client"}
        members = {one.name for one in self._plan.machines if one.role}

        def all_there() -> bool:
            states = self.node_states()
            found = self.consul("GET", "/v1/agent/members")
            alive = {one["Name"] for one in found if one["Status"] == 1}
            return all(states.get(name) == "ready" for name in clients) and members <= alive

        return self.wait_for(all_there, "the cluster to be complete", timeout_s)[1]

    def wait_for(self, check: Callable[[], _T], what: str, timeout_s: float = 300) -> tuple[_T, float]:
        """The first true answer of `check`, and the seconds until then. While the server is away, it is asked
        again."""
        start = time.monotonic()
        last_error = ""
        while time.monotonic() < start + timeout_s:
            try:
                answer = check()
            except (OSError, http.client.HTTPException, Upstream) as missed:
                last_error = f" ({missed})"
            else:
                last_error = ""
                if answer:
                    return answer, time.monotonic() - start
            time.sleep(0.1)
        raise Unavailable(
            "lab.cluster_waits",
            f"Waited {timeout_s:.0f} s in vain for {what}{last_error}.",
            "`soundstage lab ssh MACHINE -- journalctl -u nomad -u consul` says more.",
        )

    def _call(self, port: int, method: str, path: str, body: Any) -> Any:
        connection = http.client.HTTPConnection(self._server.address, port, timeout=_TIMEOUT_S)
        connection.sock = connect(self._lab, self._server.address, port, _TIMEOUT_S)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= 400:
            raise Upstream("lab.cluster_refused", f"{method} {path}: {answer.status} {text.strip()[:300]}")
        return json.loads(text) if text.strip() else None
