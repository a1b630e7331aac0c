"""The files of an inventory, from the answers of `soundstage init`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from app.farm_setup.answers import BootNetwork, FarmAnswers
from soundstage.errors import Unavailable

PROJECT = Path(__file__).parents[2]
CONTROL = "control-1"
_COPIED = ("group_vars/all/connection.yaml", "group_vars/gpu/nomad.yaml")
"""Files of the checkout's example that hold for every farm."""


def farm_secrets() -> Path:
    """Returns the folder in which the roles put the secrets of a farm (`farm__secrets`)."""
    named = os.environ.get("SOUNDSTAGE_FARM_SECRETS")
    return Path(named) if named else Path.home() / ".config/soundstage/farm"


def inventory_files(answers: FarmAnswers, *, is_this_machine: bool) -> dict[str, str]:
    """Returns the text of each file by its path in the folder. Raises Unavailable outside of a checkout."""
    return {
        "inventory/hosts.yaml": _hosts(answers, is_this_machine),
        "inventory/group_vars/all/farm.yaml": _farm(answers),
        **{f"inventory/{name}": _example(name) for name in _COPIED},
        "config.toml": _config(answers),
    }


def _example(name: str) -> str:
    try:
        return (PROJECT / "inventory" / name).read_text(encoding="utf-8")
    except OSError as error:
        raise Unavailable(
            "init.no_checkout",
            f"The playbook and its example inventory are not in {PROJECT}.",
            "Run the command of a checkout of Soundstage (`make setup-farm`).",
        ) from error


def _hosts(answers: FarmAnswers, is_this_machine: bool) -> str:
    connection = ", ansible_connection: local" if is_this_machine else ""
    return f"""\
# Written by `soundstage init`; yours to edit. A part of the farm is installed where its group has a machine:
# an empty group (`hosts: {{}}`) switches the part off.
all:
  children:
    # Servers of Nomad and Consul: one, or three to survive the loss of one.
    control:
      hosts:
        {CONTROL}: {{ansible_host: {answers.address}{connection}}}
    # Runs the studio and the agent, as a job on Nomad: one control machine. Or two of three; where the groups
    # database and storage name two each, any one of the three may be lost (docs/guide/storage.md).
    agent:
      hosts: {{{CONTROL}: {{}}}}
    # Takes machines in: the provisioning API, and the server that they boot from (group_vars/all/farm.yaml).
    provisioning:
      hosts: {{{CONTROL}: {{}}}}
    # Prometheus, alerts and the logs of all machines.
    monitoring:
      hosts: {{{CONTROL}: {{}}}}
    # Machines that have a system already and work. Those that boot from the network need no line here.
    workers:
      children:
        gpu:
          hosts: {{}}
        cpu:
          hosts: {{}}
"""


def _farm(answers: FarmAnswers) -> str:
    return f"""\
---
# Written by `soundstage init`; yours to edit. All variables: ansible/roles/*/README.md.
farm__name: {json.dumps(answers.name)}
# Tokens, keys and certificates, made at the first run, outside of this folder; keep a copy of it.
farm__secrets: >-
  {{{{ lookup('ansible.builtin.env', 'SOUNDSTAGE_FARM_SECRETS')
     | default(lookup('ansible.builtin.env', 'HOME') ~ '/.config/soundstage/farm', true) }}}}

# Engines: HashiCorp's packages, or builds of your own (`make tools` prints where they are).
consul__source: hashicorp_repo
nomad__source: hashicorp_repo

# The studio for people: {answers.url}
agent__tls_port: {answers.https_port}
agent__tls_names: {json.dumps([answers.https_name] if answers.https_name else [])}

# Machines that boot from the network get tokens for Consul and Nomad when they enrol.
provisioning_api__engines: true
{_boot(answers.boot, answers)}
# Encrypted copies; places other than a folder need a key among the secrets (docs/guide/backups.md).
backup__repository: {json.dumps(answers.backups)}

# Weights that you may use (role models).
models__manifest: []
"""


def _boot(boot: BootNetwork | None, answers: FarmAnswers) -> str:
    if boot is None:
        return """
# Network boot is off until an interface is named here (docs/guide/network-boot.md):
# pxe_server__interface: eth0
# pxe_server__mode: proxy
"""
    lines = ["", f"pxe_server__interface: {json.dumps(boot.interface)}"]
    found = boot.address_range(answers.address)
    if boot.network is None or found is None:
        lines += ["# Beside a DHCP server that gives the addresses.", "pxe_server__mode: proxy"]
    else:
        lines += [
            "pxe_server__mode: server",
            f"pxe_server__first: {found[0]}",
            f"pxe_server__last: {found[1]}",
            "# New machines of this network reach the farm at once.",
            f"common__farm_networks: \"{{{{ farm__addresses + ['{boot.network}'] }}}}\"",
        ]
    lines += [
        "# What machines boot, built by the first run: metal, or cloud for virtual ones.",
        "provisioning_api__image: metal",
    ]
    return "\n".join([*lines, ""])


def _config(answers: FarmAnswers) -> str:
    secrets = farm_secrets() / "provisioning"
    return f"""\
# Written by `soundstage init`; yours to edit. For commands about machines:
#   soundstage -c FOLDER/config.toml machines list
[provisioning]
api_url = "https://{answers.address}:8002"
api_key_file = {json.dumps(str(secrets / "admin.key"))}
api_ca_file = {json.dumps(str(secrets / "ca.pem"))}
"""
