# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the farm's secrets on the controller: what is missing or will expire; the rest stays."""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import uuid
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.soundstage.farm.plugins.module_utils.argument_specs import TEXT, TEXTS, dicts
from ansible_collections.soundstage.farm.plugins.module_utils.farm_authority import FarmAuthority, Subject
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.module_utils.ssh_authority import SshAuthority, ensure_key
from ansible_collections.soundstage.farm.plugins.plugin_utils.farm_action import FarmAction

_ARGUMENTS: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "farm": TEXT,
    "datacenter": TEXT,
    "region": TEXT,
    "machines": dicts(required=True, name=TEXT, address=TEXT, server={"type": "bool", "required": True}),
    "retired": TEXTS,
    "certificate_days": {"type": "int", "default": 365},
    "renew_before_days": {"type": "int", "default": 60},
    "login_principals": {"type": "list", "elements": "str", "default": ["ansible", "root"]},
    "login_minutes": {"type": "int", "default": 60},
}


class ActionModule(FarmAction):
    """Returns which files it made or renewed, by name and reason; never what is in them."""

    arguments = _ARGUMENTS

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        store = SecretStore(params["path"])
        try:
            store.check()
            if self._task.check_mode:
                authorities = _authorities(store) if store.has("tls/ca.pem") else []
                return {"changed": False, "made": {}, "authorities": authorities}
            with store.lock():
                changes = _Maker(store, params, datetime.datetime.now(datetime.UTC)).run()
        except OSError as error:
            raise AnsibleActionFail(f"The secrets folder {store.folder} cannot be used: {error}.") from error
        return {"changed": bool(changes), "made": changes, "authorities": _authorities(store)}


def _authorities(store: SecretStore) -> list[str]:
    """SHA-256 of each certificate in tls/ca.pem, counted as the module machine_facts does."""
    blocks = store.read("tls/ca.pem").decode().split("-----END CERTIFICATE-----")
    return [hashlib.sha256("".join(block.split()).encode()).hexdigest() for block in blocks if block.strip()]


class _Maker:
    def __init__(self, store: SecretStore, params: dict[str, Any], now: datetime.datetime) -> None:
        self._store = store
        self._params = params
        self._now = now
        self._changes: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        farm = self._params["farm"]
        authority = FarmAuthority(self._store, self._now)
        if authority.ensure(farm):
            self._changes["tls/ca.pem"] = "missing"
        self._certificate(authority, "operator", Subject("operator"))
        for machine in self._params["machines"]:
            self._certificate(authority, machine["name"], self._subject(machine))
        present = {"operator", *(machine["name"] for machine in self._params["machines"])}
        for name in authority.revoke(set(self._params["retired"]) - present):
            self._changes[f"tls/{name}.pem"] = "revoked"
        for name in ("consul/gossip.key", "nomad/gossip.key"):
            self._value(name, base64.b64encode(os.urandom(32)).decode())
        for name in ("consul/management.token", "nomad/management.token"):
            self._value(name, str(uuid.uuid4()))
        for name in ("provisioning", "provisioning-service", "agent", "monitoring", "livekit", "postgresql"):
            self._value(f"consul/tokens/{name}.token", str(uuid.uuid4()))
        self._value("monitoring/scrape.key", os.urandom(32).hex())
        # In the form of `soundstage voice keys --file`.
        self._value("livekit/livekit.keys", f"API{os.urandom(6).hex()}: {os.urandom(32).hex()}")
        self._value("agent/voice-worker.token", os.urandom(32).hex())
        for machine in self._params["machines"]:
            for name in (f"consul/agents/{machine['name']}.token", f"consul/nomad/{machine['name']}.token"):
                self._value(name, str(uuid.uuid4()))
        self._ssh(farm)
        return self._changes

    def _certificate(self, authority: FarmAuthority, file: str, subject: Subject) -> None:
        reason = authority.due(file, subject, self._params["renew_before_days"])
        if reason:
            authority.issue(file, subject, self._params["certificate_days"])
            self._changes[f"tls/{file}.pem"] = reason

    def _subject(self, machine: dict[str, Any]) -> Subject:
        """The names that `verify_server_hostname` of Consul and Nomad look for, and those people use."""
        role = "server" if machine["server"] else "client"
        names = [f"{role}.{self._params['region']}.nomad", "localhost"]
        if machine["server"]:
            names += [
                f"server.{self._params['datacenter']}.consul",
                "nomad.service.consul",
                "consul.service.consul",
            ]
        return Subject(machine["name"], tuple(names), ("127.0.0.1", machine["address"]))

    def _value(self, name: str, value: str) -> None:
        if not self._store.has(name):
            self._store.write(name, f"{value}\n".encode())
            self._changes[name] = "missing"

    def _ssh(self, farm: str) -> None:
        hosts = SshAuthority(self._store, "host_ca", self._now)
        users = SshAuthority(self._store, "user_ca", self._now)
        for name, authority in (("ssh/host_ca", hosts), ("ssh/user_ca", users)):
            if authority.ensure(farm):
                self._changes[name] = "missing"
        if ensure_key(self._store, "ssh/ansible", f"{farm}-ansible"):
            self._changes["ssh/ansible"] = "missing"
        for name, form, authority in (
            ("ssh/known_hosts", "@cert-authority * {}\n", hosts),
            ("ssh/trusted_users.pub", "{}\n", users),
        ):
            content = "".join(form.format(line) for line in authority.trusted_lines).encode()
            if not self._store.has(name) or self._store.read(name) != content:
                self._store.write(name, content)
                self._changes[name] = "of other authorities"
        self._login(users)

    def _login(self, users: SshAuthority) -> None:
        """The certificate that Ansible logs in with: short-lived, so renewing it is no change of the farm."""
        public_line = self._store.text("ssh/ansible.pub")
        seconds = self._params["login_minutes"] * 60
        principals = self._params["login_principals"]
        name = "ssh/ansible-cert.pub"
        if not self._store.has(name) or not users.current(
            self._store.read(name), public_line, principals, seconds / 2
        ):
            self._store.write(name, users.sign_user(public_line, "ansible", principals, seconds))
