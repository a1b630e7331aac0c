"""The engines that the settings name; called by the wiring of this room."""

from __future__ import annotations

from provisioning_api.engines.calling import Engine
from provisioning_api.engines.consul import ConsulTokens
from provisioning_api.engines.nomad import NomadNodes
from soundstage.settings import Settings


def nomad_nodes(settings: Settings) -> NomadNodes | None:
    """None where no Nomad was named."""
    nomad, token_file = settings.farm.nomad, settings.provisioning.nomad_token_file
    if nomad.address is None and token_file is None:
        return None
    return NomadNodes(
        Engine(
            "Nomad",
            str(nomad.address or "http://127.0.0.1:4646"),
            "`farm.nomad` and `provisioning.nomad_token_file`",
            token_file or nomad.token_file,
            nomad.ca_file,
            nomad.client_cert_file,
            nomad.client_key_file,
            nomad.region,
        )
    )


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
