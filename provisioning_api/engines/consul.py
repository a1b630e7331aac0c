"""What this room asks of Consul: a token for the agent of one machine, and its end."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning_api.engines.calling import Engine
from soundstage.errors import Upstream


class ConsulTokens:
    """Our own token needs `acl = "write"`."""

    def __init__(self, engine: Engine, datacenter: str, policies: Sequence[str] = ()) -> None:
        """`policies`: names of those that each token has beside being its node; Consul must know them."""
        self._engine = engine
        self._datacenter = datacenter
        self._policies = [{"Name": name} for name in policies]

    async def make(self, accessor: str, name: str) -> str:
        """The secret of a token that lets an agent be the node `name`, and no other node.

        `accessor` (a UUID) is ours to choose: it is written down first, so that no token is ever forgotten.
        """
        wanted = {
            "AccessorID": accessor,
            "Description": f"Soundstage: the agent of {name}",
            "NodeIdentities": [{"NodeName": name, "Datacenter": self._datacenter}],
            "Policies": self._policies,
        }
        answer = await self._engine.call("PUT", "/v1/acl/token", json=wanted)
        secret = answer.get("SecretID") if isinstance(answer, dict) else None
        if not isinstance(secret, str) or not secret:
            raise Upstream(
                "machine.engine_refused", "Consul answered without a token.", "Look at Consul's own log."
            )
        return secret

    async def remove(self, accessor: str) -> None:
        """One that is not there any more is no error."""
        ours = self._engine.token()
        path = f"/v1/acl/token/{accessor}"
        if await self._engine.call("DELETE", path, token=ours, gone_is_done=True) is None:
            # Whoever shows a token that Consul does not know hears that no other one is there either. The
            # same one has to be asked about: the file may have changed in between.
            await self._engine.call("GET", "/v1/acl/token/self", token=ours)
