# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives Ansible the machines that the provisioning API knows, or those of a snapshot of its answer."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

DOCUMENTATION = r"""
name: machines
short_description: Machines of the Soundstage provisioning API
description:
  - Reads C(GET /api/inventory) of the provisioning API, or a file with the same content.
  - With both, the file is used when the API does not answer, and a warning says so.
  - The file that configures this plugin ends in C(machines.yaml).
options:
  plugin:
    description: C(soundstage.farm.machines).
    required: true
    choices: [soundstage.farm.machines]
  url:
    description: Address of the API, such as C(https://10.0.0.5:8002).
    type: str
  token_file:
    description: File with an API key that may read machines.
    type: path
  ca_file:
    description: Certificates that the API's own must come from, where the system does not know them.
    type: path
  snapshot:
    description: File with the content of the API's answer.
    type: path
  states:
    description: States of the machines that are wanted; members of the farm unless given.
    type: list
    elements: str
    default: []
  group_names:
    description:
      - Groups to make of those that the API gives (C(pool_NAME), C(tag_NAME), C(nvidia), C(amd), C(members)).
      - >-
        The API gives the groups of the roles already. C(control) are machines with the tag C(control),
        C(workers) all others (and those with the tag C(worker)), C(gpu) are workers with NVIDIA cards.
        A group that is named here is made anew.
    type: dict
    default: {}
author: Soundstage
"""

EXAMPLES = r"""
# inventory/machines.yaml
plugin: soundstage.farm.machines
url: https://10.0.0.5:8002
token_file: ~/.config/soundstage/inventory.key
ca_file: ~/.config/soundstage/provisioning-ca.pem
# Only where tags are not what tells servers from workers:
group_names:
  control: [pool_head]
  workers: [pool_default, pool_gpu_shared]
"""


class InventoryModule(BaseInventoryPlugin):
    """Reads machines from the API as data, which Ansible does not template."""

    NAME = "soundstage.farm.machines"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith(("machines.yaml", "machines.yml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        answer = self._answer(path)
        try:
            self._fill(answer)
        except (KeyError, TypeError, AttributeError) as error:
            raise AnsibleParserError(f"{path}: the machines are not in the API's form: {error!r}.") from error

    def _answer(self, path: str) -> dict[str, Any]:
        url, snapshot = self.get_option("url"), self.get_option("snapshot")
        if not url and not snapshot:
            raise AnsibleParserError(f"{path}: name the API (url) or a file with its answer (snapshot).")
        if url:
            try:
                return self._from_api(url)
            except (OSError, ValueError) as error:
                reason = _reason(error)
                if not snapshot:
                    raise AnsibleParserError(f"{path}: {url} gave no machines: {reason}.") from error
                self.display.warning(f"{url} gave no machines ({reason}); those of {snapshot} are used.")
        try:
            return dict(json.loads(Path(snapshot).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise AnsibleParserError(f"{path}: the snapshot {snapshot} cannot be read: {error}.") from error

    def _from_api(self, url: str) -> dict[str, Any]:
        address = urllib.parse.urlsplit(url)
        if address.scheme != "https" and (
            address.scheme != "http" or address.hostname not in ("127.0.0.1", "localhost", "::1")
        ):
            raise ValueError("an API key is sent over https only, or to this very computer")
        query = "&".join(f"state={state}" for state in self.get_option("states"))
        request = urllib.request.Request(f"{url.rstrip('/')}/api/inventory{'?' + query if query else ''}")  # noqa: S310
        token_file = self.get_option("token_file")
        if token_file:
            token = Path(token_file).read_text(encoding="utf-8").strip()
            request.add_header("Authorization", f"Bearer {token}")
        context = ssl.create_default_context(cafile=self.get_option("ca_file") or None)
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:  # noqa: S310
            return dict(json.load(answer))

    def _fill(self, answer: dict[str, Any]) -> None:
        for name, variables in answer["_meta"]["hostvars"].items():
            self.inventory.add_host(name)
            for key, value in variables.items():
                self.inventory.set_variable(name, key, value)
        members = {name: group["hosts"] for name, group in answer.items() if name not in ("_meta", "all")}
        anew = {
            ours: list(dict.fromkeys(host for one in theirs for host in members.get(one, [])))
            for ours, theirs in self.get_option("group_names").items()
        }
        for key, value in answer["all"].get("vars", {}).items():
            self.inventory.set_variable("all", key, value)
        for group, hosts in {**members, **anew}.items():
            self.inventory.add_group(group)
            for host in hosts:
                self.inventory.add_child(group, host)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    return str(getattr(error, "reason", error))
