# SPDX-License-Identifier: GPL-3.0-or-later
"""Replaces secrets while the farm runs. Every step may be repeated, also after it was cut off anywhere."""

from __future__ import annotations

import base64
import datetime
import json
import os
import uuid
from collections.abc import Callable, Collection
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import (
    CONSUL,
    NOMAD,
    Engine,
    EngineApi,
)
from ansible_collections.soundstage.farm.plugins.module_utils.farm_authority import FarmAuthority
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.module_utils.ssh_authority import SshAuthority

STEPS = ["begin", "switch", "finish"]
WHAT = ["tokens", "management", "gossip", "certificates", "authority", "ssh"]
# How a management token is created, and which of its fields holds the name.
_TOKEN_LABELS = {CONSUL: "Description", NOMAD: "Name"}
_MANAGEMENT: dict[Engine, dict[str, Any]] = {
    CONSUL: {"Policies": [{"Name": "global-management"}]},
    NOMAD: {"Type": "management", "Global": True},
}
# How the ring of an engine takes, uses and drops a gossip key.
_RINGS = {
    CONSUL: {
        "install": ("POST", "/v1/operator/keyring"),
        "use": ("PUT", "/v1/operator/keyring"),
        "remove": ("DELETE", "/v1/operator/keyring"),
    },
    NOMAD: {word: ("PUT", f"/v1/agent/keyring/{word}") for word in ("install", "use", "remove")},
}


class SecretRotation:
    """Replaces secrets of a farm in three steps.

    `consul` and `nomad` open an API with the management token that is stored at that moment.
    """

    def __init__(
        self,
        store: SecretStore,
        farm: str,
        *,
        consul: Callable[[], EngineApi],
        nomad: Callable[[], EngineApi],
    ) -> None:
        self._store = store
        self._farm = farm
        self._consul = consul
        self._nomad = nomad
        self._now = datetime.datetime.now(datetime.UTC)
        self._done: list[str] = []

    def run(self, step: str, what: Collection[str]) -> list[str]:
        """Does one of STEPS for the secrets in `what`; returns what was done, in words without secrets.

        Raises EngineError and SecretStoreError; the step may then be repeated.
        """
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
                "tokens", ("consul/agents", "consul/nomad", "consul/tokens", "nomad/tokens"), ".token"
            ),
            "switch certificates": lambda: self._forget(
                "certificates", ("tls",), ".pem", keep=("ca.pem", "ca-key.pem", "crl.pem")
            ),
            "finish management": self._renew_management,
        }
        for kind in WHAT:
            act = steps.get(f"{step} {kind}")
            if kind in what and act is not None:
                act()
        return self._done

    # --- the authority of TLS: ca.pem holds all that are trusted, the one that signs first ---

    def _begin_authority(self) -> None:
        if not self._store.has("tls/next/ca.pem"):
            certificate, key = FarmAuthority(self._store, self._now).make_pair(self._farm)
            self._store.commit({"tls/next/ca-key.pem": key, "tls/next/ca.pem": certificate})
        if not self._new_authority_signs():
            current = FarmAuthority(self._store, self._now).current_only()
            self._store.write("tls/ca.pem", current + self._store.read("tls/next/ca.pem"))
        self._done.append("a new authority is trusted beside the present one")

    def _switch_authority(self) -> None:
        if not self._store.has("tls/next/ca.pem"):
            return
        if not self._new_authority_signs():
            current = FarmAuthority(self._store, self._now).current_only()
            self._store.commit(
                {
                    "tls/ca-key.pem": self._store.read("tls/next/ca-key.pem"),
                    "tls/ca.pem": self._store.read("tls/next/ca.pem") + current,
                }
            )
        self._done.append("the new authority signs")

    def _finish_authority(self) -> None:
        if not self._store.has("tls/next/ca.pem"):
            return
        new = self._store.read("tls/next/ca.pem")
        self._store.commit({"tls/ca.pem": new, "tls/next/ca-key.pem": None, "tls/next/ca.pem": None})
        self._done.append("the old authority is trusted no more")

    def _new_authority_signs(self) -> bool:
        return self._store.read("tls/ca.pem").startswith(self._store.read("tls/next/ca.pem"))

    # --- the authorities of SSH: the first line of user_ca.pub and known_hosts is the one that signs ---

    def _begin_ssh(self) -> None:
        for name in ("host_ca", "user_ca"):
            SshAuthority(self._store, name, self._now).begin_rotation(self._farm)
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
        for engine in _RINGS:
            current, former = f"{engine.name}/gossip.key", f"{engine.name}/gossip.old"
            if not self._store.has(former):
                old, new = self._store.read(current), base64.b64encode(os.urandom(32)) + b"\n"
                self._store.commit({former: old, current: new})
            for word in ("install", "use"):
                self._change_ring(engine, word, self._store.text(current))
        self._done.append("new gossip keys are in use")

    def _finish_gossip(self) -> None:
        for engine in _RINGS:
            former = f"{engine.name}/gossip.old"
            if self._store.has(former):
                self._change_ring(engine, "remove", self._store.text(former))
                self._store.remove(former)
        self._done.append("the old gossip keys are refused")

    def _change_ring(self, engine: Engine, word: str, key: str) -> None:
        api = self._consul() if engine is CONSUL else self._nomad()
        api.call(*_RINGS[engine][word], {"Key": key})

    # --- tokens ---

    def _forget(self, what: str, folders: tuple[str, ...], suffix: str, keep: tuple[str, ...] = ()) -> None:
        """Take files away; the next run makes new ones, and the old count until it has placed them."""
        for folder in folders:
            for path in sorted(self._store.path(folder).glob(f"*{suffix}")):
                if path.name not in keep:
                    self._store.remove(f"{folder}/{path.name}")
        self._done.append(f"the {what} are made anew")

    def _renew_management(self) -> None:
        for engine, api in ((CONSUL, self._consul), (NOMAD, self._nomad)):
            self._renew_management_token(engine, api)
        self._done.append("the management tokens are new")

    def _renew_management_token(self, engine: Engine, connect: Callable[[], EngineApi]) -> None:
        """Creates a token, stores it, and deletes the old one with it.

        `management.rotation` holds the name of the new token and the id of the old one before either changes:
        a repeated call uses a token that was created already, and deletes the old one.
        """
        journal = f"{engine.name}/management.rotation"
        if not self._store.has(journal):
            old = connect().get("/v1/acl/token/self")["AccessorID"]
            name = f"management {uuid.uuid4()}"
            self._store.write(journal, json.dumps({"name": name, "old": old}).encode())
        rotation = json.loads(self._store.read(journal))
        label = _TOKEN_LABELS[engine]
        tokens = connect().get("/v1/acl/tokens")
        present = [token["AccessorID"] for token in tokens if token[label] == rotation["name"]]
        created = (
            connect().get(f"/v1/acl/token/{present[0]}")
            if present
            else connect().put("/v1/acl/token", {label: rotation["name"], **_MANAGEMENT[engine]})
        )
        self._store.write(f"{engine.name}/management.token", f"{created['SecretID']}\n".encode())
        if any(token["AccessorID"] == rotation["old"] for token in tokens):
            connect().call("DELETE", f"/v1/acl/token/{rotation['old']}")
        self._store.remove(journal)
