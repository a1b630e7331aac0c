"""The section of the provisioning API: from power-on to ready, in a process and a database of its own."""

from __future__ import annotations

from pathlib import Path

from pydantic import AnyHttpUrl, Field

from soundstage.settings.healing import HealingSettings
from soundstage.settings.sections import PRIVATE_NETWORKS, CommaList, Host, IpNetworks, Section


class ProvisioningSettings(Section):
    """Machines, enrolment, boot scripts and runs of Ansible; a process of its own."""

    enabled: bool = Field(True, description="`soundstage up` starts it beside the studio")
    host: Host = Field("127.0.0.1", description="address to listen on; machines need one that they can reach")
    port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="TCP port for boot scripts and people; empty: 8001, or a free one when `http.port` is 0",
    )
    tls_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="TCP port for enrolment, TLS 1.3 only; empty: 8002, or a free one when `http.port` is 0",
    )
    tls_names: CommaList = Field(
        (), description="names and addresses under which machines reach the TLS port, by commas"
    )
    public_url: AnyHttpUrl | None = Field(
        None,
        description="plain URL for machines, e.g. `http://10.0.0.5:8001`; empty: their request's host",
    )
    api_url: AnyHttpUrl | None = Field(
        None, description="where `soundstage machines` finds it; empty: the plain port on this machine"
    )
    api_key_file: Path | None = Field(
        None, description="file with the API key of `soundstage machines`; empty: the local key made by `up`"
    )
    api_ca_file: Path | None = Field(
        None,
        description="CA certificates to verify an https `api_url` (`soundstage machines ca`)",
    )
    database_url: str | None = Field(
        None,
        description="`sqlite:///path` or `postgresql://…`; empty: in `state_dir`, beside the studio's",
    )
    token_minutes: int = Field(15, ge=1, le=15, description="how long an armed enrolment may be used")
    certificate_days: int = Field(90, ge=1, le=825, description="how long the certificates of a machine last")
    datacenter: str = Field(
        "dc1", pattern=r"^[a-z0-9-]{1,32}$", description="Consul datacenter used in certificate names"
    )
    region: str = Field(
        "global", pattern=r"^[a-z0-9-]{1,32}$", description="Nomad region used in certificate names"
    )
    consul_gossip_key_file: Path | None = Field(
        None, description="file with Consul's gossip key, given to machines that enrol; empty: none"
    )
    consul_address: AnyHttpUrl | None = Field(
        None, description="the API of Consul, for tokens of machines that enrol; empty: they get none"
    )
    consul_token_file: Path | None = Field(
        None, description="file with a Consul token that may write ACLs; empty: none"
    )
    consul_policies: CommaList = Field(
        (),
        description="Consul policies of a machine's token in addition to its node identity, by commas; the "
        "role consul creates `dns` and `nomad-client`",
    )
    consul_ca_file: Path | None = Field(None, description="CA certificates to verify Consul")
    consul_client_cert_file: Path | None = Field(
        None, description="our own certificate for Consul, for mutual TLS"
    )
    consul_client_key_file: Path | None = Field(None, description="the key of that certificate")
    nomad_token_file: Path | None = Field(
        None, description="file with a Nomad token that may drain nodes and introduce clients; empty: none"
    )
    nomad_ready: bool = Field(
        False, description="a machine is ready only when the Nomad servers (`farm.nomad`) call its node ready"
    )
    ssh_user: str = Field(
        "soundstage", pattern=r"^[a-z_][a-z0-9_-]{0,31}$", description="SSH user of runs and commands"
    )
    project_dir: Path | None = Field(
        None, description="folder with the playbooks; empty: the current one, else this checkout"
    )
    playbook: str = Field("playbook.yaml", description="playbook run on an accepted machine")
    ansible_bin: Path | None = Field(
        None, description="folder of `ansible-playbook`; empty: `ansible/.venv/bin` of the project, else PATH"
    )
    runs_at_once: int = Field(4, ge=1, le=64, description="runs of Ansible at the same time")
    run_forks: int = Field(10, ge=1, le=500, description="machines that one run works on at the same time")
    run_timeout_s: int = Field(3600, ge=1, description="a run that takes longer is ended")
    runs_kept: int = Field(200, ge=1, description="folders of ended runs that are kept, the newest")
    command_timeout_s: float = Field(30.0, gt=0, le=600, description="a command that takes longer is ended")
    command_output_kib: int = Field(64, ge=1, le=4096, description="stored part of a command's output")
    requests_per_minute: int = Field(
        240, ge=1, description="requests without a key per address and minute; also the burst size"
    )
    requests_per_minute_total: int = Field(30_000, ge=1, description="the same for all addresses together")
    failures_per_minute: int = Field(
        6, ge=1, description="failed authentications per address and minute, after a burst of 20"
    )
    new_machines_per_hour: int = Field(
        8, ge=1, description="new machines that one address may report per hour; also the burst size"
    )
    discovered_max: int = Field(
        1000,
        ge=1,
        description="machines that may wait for a decision; a new one replaces the one silent longest",
    )
    discovered_days: int = Field(
        7, ge=1, description="machines that wait for a decision are removed after so many days of silence"
    )
    hardware_reports: int = Field(
        10, ge=1, le=1000, description="hardware reports that are kept of a machine, the newest"
    )
    inventory_file: Path | None = Field(
        None, description="where the inventory is written; empty: `inventory/soundstage.json` in `state_dir`"
    )
    power_networks: IpNetworks = Field(
        PRIVATE_NETWORKS,
        description="private networks of BMCs and power webhooks, in addition to public addresses, by commas",
    )
    artefact_dir: Path | None = Field(
        None, description="kernels, ramdisks and images with their manifest; empty: below `state_dir`"
    )
    healing: HealingSettings = Field(default_factory=HealingSettings, description="self-healing")
