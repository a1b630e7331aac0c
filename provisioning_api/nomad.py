"""What this room asks of Nomad: is a node ready, drain it; used when machines become ready and when they
retire.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from soundstage.errors import Upstream
from soundstage.settings.sections import read_key_file

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class NomadServers:
    """`address` of any server; the token is read anew for each call, so that a changed file counts at
    once.
    """

    address: str
    region: str = ""
    token_file: Path | None = None
    ca_file: Path | None = None


class NomadNodes:
    def __init__(self, servers: NomadServers) -> None:
        self._servers = servers

    async def is_ready(self, name: str) -> bool:
        """Whether a node of that name is registered, ready and eligible."""
        node = await self._node(name)
        return node is not None and node.get("Status") == "ready"

    async def drain(self, name: str, deadline: timedelta = timedelta(hours=1)) -> bool:
        """Moves its work away within `deadline`; False when Nomad has no such node."""
        node = await self._node(name)
        if node is None:
            return False
        spec = {"Deadline": int(deadline.total_seconds() * 1e9), "IgnoreSystemJobs": False}
        await self._call(
            "POST", f"/v1/node/{node['ID']}/drain", json={"DrainSpec": spec, "MarkEligible": False}
        )
        return True

    async def _node(self, name: str) -> dict[str, Any] | None:
        nodes = await self._call("GET", "/v1/nodes")
        alive = [node for node in nodes if node.get("Name") == name and node.get("Status") != "down"]
        return alive[0] if alive else None

    async def _call(self, method: str, path: str, **more: Any) -> Any:
        servers = self._servers
        headers = {} if servers.token_file is None else {"X-Nomad-Token": read_key_file(servers.token_file)}
        verify: ssl.SSLContext | bool = True
        if servers.ca_file is not None:
            verify = ssl.create_default_context(cafile=str(servers.ca_file))
        params = {"region": servers.region} if servers.region else {}
        try:
            async with httpx.AsyncClient(
                base_url=servers.address.rstrip("/"), timeout=TIMEOUT_S, trust_env=False, verify=verify
            ) as client:
                answer = await client.request(method, path, params=params, headers=headers, **more)
                answer.raise_for_status()
                return answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Upstream(
                "machine.nomad_unreachable",
                f"Nomad at {servers.address} could not be asked: {type(error).__name__}.",
                "Check `farm.nomad.address` and `provisioning.nomad_token_file`.",
            ) from error
