# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of replacing secrets while the farm runs: begin, switch, finish.

Called by ansible/playbooks/rotate-secrets.yaml, which places the files after each step. The folder shows what
has been done: a rotation that was cut off goes on where it stopped when the playbook is run again.
"""

from __future__ import annotations

import base64
import datetime
import os
import uuid
from collections.abc import Callable
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import (
    CONSUL,
    NOMAD,
    EngineApi,
    management_api,
)
from ansible_collections.soundstage.farm.plugins.module_utils.farm_authority import FarmAuthority
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.module_utils.ssh_authority import SshAuthority
from ansible_collections.soundstage.farm.plugins.plugin_utils.farm_action import FarmAction

WHAT = ["tokens", "management", "gossip", "certificates", "authority", "ssh"]
_ARGUMENTS: dict[str, Any] = {
    "secrets": {"type": "path", "required": True},
    "farm": {"type": "str", "required": True},
    "step": {"type": "str", "choices": ["begin", "switch", "finish"], "required": True},
    "what": {"type": "list", "elements": "str", "choices": WHAT, "required": True},
    "consul": {"type": "str", "required": True},
    "nomad": {"type": "str", "required": True},
}


class ActionModule(FarmAction):
    """Returns what it did, in words without secrets."""

    arguments = _ARGUMENTS
    engine_failed = "The rotation stopped, and can be run again: "

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode:
            return {
                "changed": True,
                "msg": f"Would {params['step']} the rotation of {', '.join(params['what'])}.",
            }
        store = SecretStore.open(params["secrets"])
        with store.lock():
            done = _Rotation(store, params).run()
        return {"changed": bool(done), "done": done}


class _Rotation:
    def __init__(self, store: SecretStore, params: dict[str, Any]) -> None:
        self._store = store
        self._params = params
        self._now = datetime.datetime.now(datetime.UTC)
        self._done: list[str] = []

    def run(self) -> list[str]:
        steps: dict[str, Callable[[], None]] = {
            "begin authority": self._begin_authority,
            "switch authority": self._switch_authority,
            "finish authority": self._finish_authority,
            "begin ssh": self._begin_ssh,
            "switch ssh": self._switch_ssh,
            "finish ssh": self._finish_ssh,
            "begin gossip": self._begin_gossip,
            "finish gossip": self._finish_gossip,
            "switch tokens": lambda: self._forget(
                "tokens", ("consul/agents", "consul/nomad", "nomad/tokens"), ".token"
            ),
            "switch certificates": lambda: self._forget(
                "certificates", ("tls",), ".pem", keep=("ca.pem", "ca-key.pem")
            ),
            "finish management": self._renew_management,
        }
        for what in WHAT:
            step = steps.get(f"{self._params['step']} {what}")
            if what in self._params["what"] and step is not None:
                step()
        return self._done

    # --- the authority of TLS: ca.pem holds all that are trusted, the one that signs first ---

    def _begin_authority(self) -> None:
        if not self._store.has("tls/next/ca.pem"):
            created = FarmAuthority(self._store, self._now).make_pair(self._params["farm"])
            self._store.write("tls/next/ca-key.pem", created[1])
            self._store.write("tls/next/ca.pem", created[0])
        current = FarmAuthority(self._store, self._now).current_only()
        self._store.write("tls/ca.pem", current + self._store.read("tls/next/ca.pem"))
        self._done.append("a new authority is trusted beside the present one")

    def _switch_authority(self) -> None:
        if not self._store.has("tls/next/ca.pem"):
            return
        current = FarmAuthority(self._store, self._now).current_only()
        new = self._store.read("tls/next/ca.pem")
        if not current.startswith(new):
            # The key and the certificate are two files: `next` stays until both are in place.
            self._store.write("tls/ca-key.pem", self._store.read("tls/next/ca-key.pem"))
            self._store.write("tls/ca.pem", new + current)
        self._done.append("the new authority signs")

    def _finish_authority(self) -> None:
        if not self._store.has("tls/next/ca.pem"):
            return
        self._store.write("tls/ca.pem", self._store.read("tls/next/ca.pem"))
        self._store.remove("tls/next/ca-key.pem")
        self._store.remove("tls/next/ca.pem")
        self._done.append("the old authority is trusted no more")

    # --- the authorities of SSH: the first line of user_ca.pub and known_hosts is the one that signs ---

    def _begin_ssh(self) -> None:
        for name in ("host_ca", "user_ca"):
            SshAuthority(self._store, name, self._now).begin_rotation(self._params["farm"])
        self._done.append("new SSH authorities are trusted beside the present ones")

    def _switch_ssh(self) -> None:
        for name in ("host_ca", "user_ca"):
            SshAuthority(self._store, name, self._now).switch_rotation()
        self._store.remove("ssh/ansible-cert.pub")
        self._done.append("the new SSH authorities sign")

    def _finish_ssh(self) -> None:
        for name in ("host_ca", "user_ca"):
            SshAuthority(self._store, name, self._now).finish_rotation()
        self._done.append("the old SSH authorities are trusted no more")

    # --- gossip: the rings take a second key before the first goes ---

    def _begin_gossip(self) -> None:
        for engine, ring in self._rings().items():
            if not self._store.has(f"{engine}/gossip.old"):
                self._store.write(f"{engine}/gossip.old", self._store.read(f"{engine}/gossip.key"))
                self._store.write(f"{engine}/gossip.key", base64.b64encode(os.urandom(32)) + b"\n")
            new = self._store.text(f"{engine}/gossip.key")
            ring.install(new)
            ring.use(new)
        self._done.append("new gossip keys are in use")

    def _finish_gossip(self) -> None:
        for engine, ring in self._rings().items():
            if self._store.has(f"{engine}/gossip.old"):
                ring.remove(self._store.text(f"{engine}/gossip.old"))
                self._store.remove(f"{engine}/gossip.old")
        self._done.append("the old gossip keys are refused")

    def _rings(self) -> dict[str, _ConsulRing | _NomadRing]:
        return {"consul": _ConsulRing(self._consul()), "nomad": _NomadRing(self._nomad())}

    # --- tokens ---

    def _forget(self, what: str, folders: tuple[str, ...], suffix: str, keep: tuple[str, ...] = ()) -> None:
        """Take files away; the next run makes new ones, and the old count until it has placed them."""
        for folder in folders:
            for path in sorted(self._store.path(folder).glob(f"*{suffix}")):
                if path.name not in keep:
                    self._store.remove(f"{folder}/{path.name}")
        self._done.append(f"the {what} are made anew")

    def _renew_management(self) -> None:
        """A new management token for each engine; it is stored before the old one goes."""
        consul = self._consul()
        old = consul.get("/v1/acl/token/self")["AccessorID"]
        secret = str(uuid.uuid4())
        self._store.write("consul/management.new", f"{secret}\n".encode())
        policy = {
            "Description": "management",
            "Policies": [{"Name": "global-management"}],
            "SecretID": secret,
        }
        consul.put("/v1/acl/token", policy)
        self._store.write("consul/management.token", f"{secret}\n".encode())
        self._consul().call("DELETE", f"/v1/acl/token/{old}")
        self._store.remove("consul/management.new")

        nomad = self._nomad()
        old = nomad.get("/v1/acl/token/self")["AccessorID"]
        created = nomad.put("/v1/acl/token", {"Name": "management", "Type": "management", "Global": True})
        self._store.write("nomad/management.token", f"{created['SecretID']}\n".encode())
        self._nomad().call("DELETE", f"/v1/acl/token/{old}")
        self._done.append("the management tokens are new")

    def _consul(self) -> EngineApi:
        return management_api(CONSUL, self._store, self._params["consul"])

    def _nomad(self) -> EngineApi:
        return management_api(NOMAD, self._store, self._params["nomad"])


class _ConsulRing:
    def __init__(self, api: EngineApi) -> None:
        self._api = api

    def install(self, key: str) -> None:
        self._api.post("/v1/operator/keyring", {"Key": key})

    def use(self, key: str) -> None:
        self._api.put("/v1/operator/keyring", {"Key": key})

    def remove(self, key: str) -> None:
        self._api.call("DELETE", "/v1/operator/keyring", {"Key": key})


class _NomadRing:
    def __init__(self, api: EngineApi) -> None:
        self._api = api

    def install(self, key: str) -> None:
        self._api.put("/v1/agent/keyring/install", {"Key": key})

    def use(self, key: str) -> None:
        self._api.put("/v1/agent/keyring/use", {"Key": key})

    def remove(self, key: str) -> None:
        self._api.put("/v1/agent/keyring/remove", {"Key": key})
