"""Asks Nomad whether a node is ready, drains it, and introduces new clients."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import nomad

from provisioning_api.engines.calling import Engine
from soundstage.http.engines import nomad_client
from soundstage.settings import Settings

# Servers cut it to their own `client_introduction.max_identity_ttl`, which is 30 minutes unless changed.
INTRODUCTION = timedelta(minutes=30)


class NomadNodes:
    """The token needs `node { policy = "write" }`, and nothing else."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def is_ready(self, name: str) -> bool:
        """Returns whether a node of that name is registered, ready and eligible."""
        node = await self._node(name)
        return (
            node is not None
            and node.get("Status") == "ready"
            and node.get("SchedulingEligibility") == "eligible"
        )

    async def drain(self, name: str, deadline: timedelta = timedelta(hours=1)) -> bool:
        """Moves its work away within `deadline`; False when Nomad has no such node.

        Also one that is down: it would take work again as soon as its machine is switched on. It stays
        ineligible afterwards, also when its client registers again with what it still holds: Nomad looks at
        no list of revoked certificates.
        """
        spec = {"Deadline": int(deadline.total_seconds() * 1e9), "IgnoreSystemJobs": False}

        def drain(client: nomad.Nomad) -> bool:
            nodes = _named(client, name)
            for node in nodes:
                client.node.drain_node_with_spec(node["ID"], spec, mark_eligible=False)
            return bool(nodes)

        return await self._engine.ask(nomad_client, drain)

    async def introduce(self, name: str, pool: str) -> str:
        """A JWT with which a client of this name and node pool, and no other, registers for the first time.

        Servers that enforce `client_introduction` ask for it; it belongs into `intro_token.jwt` in the
        client's state folder. Nomad counts no uses: its short life and the name are what bind it.
        """
        body = {"NodeName": name, "NodePool": pool, "TTL": int(INTRODUCTION.total_seconds() * 1e9)}

        def introduce(client: nomad.Nomad) -> object:
            # The library has no verb for it.
            path = ("identity", "client-introduction-token")
            return client.acl.request(*path, method="put", json=body).json()

        return await self._engine.ask_for_token(
            nomad_client, introduce, "JWT", "Client introduction needs Nomad 1.11 on all servers."
        )

    async def _node(self, name: str) -> dict[str, Any] | None:
        nodes = await self._engine.ask(nomad_client, lambda client: _named(client, name))
        alive = [node for node in nodes if node.get("Status") != "down"]
        return alive[0] if alive else None


def _named(client: nomad.Nomad, name: str) -> list[dict[str, Any]]:
    """Also those that are down, such as one of a machine that was set up anew since."""
    return [node for node in client.nodes.get_nodes() if node.get("Name") == name]


def nomad_engine(settings: Settings) -> Engine | None:
    """None where no Nomad was named."""
    nomad, token_file = settings.farm.nomad, settings.provisioning.nomad_token_file
    if nomad.address is None and token_file is None:
        return None
    return Engine(
        "Nomad",
        str(nomad.address or "http://127.0.0.1:4646"),
        "`farm.nomad` and `provisioning.nomad_token_file`",
        token_file or nomad.token_file,
        nomad.ca_file,
        nomad.client_cert_file,
        nomad.client_key_file,
        nomad.region,
    )
