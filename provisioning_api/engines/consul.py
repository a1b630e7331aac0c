"""Creates and removes Consul tokens for the agents of machines."""

from __future__ import annotations

from collections.abc import Sequence

import consul

from provisioning_api.engines.calling import Engine
from soundstage.http.engines import consul_client
from soundstage.settings import Settings


class ConsulTokens:
    """Our own token needs `acl = "write"`."""

    def __init__(self, engine: Engine, datacenter: str, policies: Sequence[str] = ()) -> None:
        """`policies`: names of those that each token has beside being its node; Consul must know them."""
        self._engine = engine
        self._datacenter = datacenter
        self._policies = list(policies)

    async def make(self, accessor: str, name: str) -> str:
        """The secret of a token that lets an agent be the node `name`, and no other node.

        `accessor` (a UUID) is ours to choose: it is written down first, so that no token is ever forgotten.
        """

        def create(client: consul.Consul) -> object:
            return client.acl.token.create(
                accessor_id=accessor,
                description=f"Soundstage: the agent of {name}",
                node_identities=[f"{name}:{self._datacenter}"],
                policies_name=self._policies,
            )

        return await self._engine.ask_for_token(
            consul_client, create, "SecretID", "Look at Consul's own log."
        )

    async def remove(self, accessor: str) -> None:
        """One that is not there any more is no error."""

        def delete(client: consul.Consul) -> bool:
            # With an unknown token Consul also reports other tokens as missing.
            return client.acl.token.delete(accessor) or client.acl.token.read_self() is not None

        if not await self._engine.ask(consul_client, delete):
            raise self._engine.refusal("404 its own token is not known")


def consul_tokens(settings: Settings) -> ConsulTokens | None:
    """None where no Consul was named."""
    chosen = settings.provisioning
    if chosen.consul_address is None:
        return None
    engine = Engine(
        "Consul",
        str(chosen.consul_address),
        "`provisioning.consul_address` and `provisioning.consul_token_file`",
        chosen.consul_token_file,
        chosen.consul_ca_file,
        chosen.consul_client_cert_file,
        chosen.consul_client_key_file,
    )
    return ConsulTokens(engine, chosen.datacenter, chosen.consul_policies)
