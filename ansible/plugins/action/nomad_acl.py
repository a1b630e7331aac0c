# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstraps Nomad's access control and keeps its policies and tokens as asked; runs on the controller.

Nomad makes the secrets of tokens itself: they go straight into the secrets folder, under the name asked for.
"""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import (
    EngineApi,
    EngineError,
    wait_for_leader,
)
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import (
    SecretStore,
    SecretStoreError,
)

_ARGUMENTS: dict[str, Any] = {
    "secrets": {"type": "path", "required": True},
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "default": 4646},
    "wait_s": {"type": "int", "default": 60},
    "policies": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "description": {"type": "str", "default": ""},
            "rules": {"type": "str", "required": True},
        },
    },
    "tokens": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "secret": {"type": "str", "required": True, "no_log": False},
            "policies": {"type": "list", "elements": "str", "required": True},
        },
    },
}


class ActionModule(ActionBase):
    """Returns what was made or changed, by name."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _, asked = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        try:
            store = SecretStore(asked["secrets"])
            store.check()
            if self._task.check_mode and not store.has("tls/operator.pem"):
                return {"changed": True, "msg": "The farm has no secrets yet; everything would be made."}
            return _NomadAccess(store, asked, dry=self._task.check_mode).run()
        except SecretStoreError as error:
            raise AnsibleActionFail(str(error)) from error
        except EngineError as error:
            raise AnsibleActionFail(f"Nomad: {error}") from error


class _NomadAccess:
    def __init__(self, store: SecretStore, asked: dict[str, Any], *, dry: bool) -> None:
        self._store = store
        self._asked = asked
        self._dry = dry
        self._changed: list[str] = []
        self._management = store.text("nomad/management.token")
        self._api = EngineApi(asked["address"], asked["port"], store, "X-Nomad-Token", self._management)

    def run(self) -> dict[str, Any]:
        wait_for_leader(self._api, 5 if self._dry else self._asked["wait_s"])
        if not self._api.knows_its_token():
            if self._dry:
                return {"changed": True, "made": ["bootstrap"]}
            self._bootstrap()
        for wanted in self._asked["policies"]:
            self._policy(wanted)
        if self._asked["tokens"]:
            tokens = {token["Name"]: token for token in self._api.get("/v1/acl/tokens")}
            for wanted in self._asked["tokens"]:
                self._token(wanted, tokens.get(wanted["name"]))
        return {"changed": bool(self._changed), "made": self._changed}

    def _bootstrap(self) -> None:
        try:
            self._api.put("/v1/acl/bootstrap", {"BootstrapSecret": self._management})
        except EngineError as error:
            if error.status != 400:
                raise
            raise EngineError(
                "access control was bootstrapped before, and not with the management token in "
                f"{self._store.folder}/nomad/management.token. Put the right token there; when it is lost, "
                "see “A lost management token” in docs/guide/cluster.md."
            ) from error
        self._changed.append("bootstrap")

    def _policy(self, wanted: dict[str, str]) -> None:
        present = self._api.find(f"/v1/acl/policy/{wanted['name']}")
        if (
            present
            and present["Rules"].strip() == wanted["rules"].strip()
            and present["Description"] == wanted["description"]
        ):
            return
        self._changed.append(f"policy {wanted['name']}")
        if not self._dry:
            body = {"Name": wanted["name"], "Description": wanted["description"], "Rules": wanted["rules"]}
            self._api.post(f"/v1/acl/policy/{wanted['name']}", body)

    def _token(self, wanted: dict[str, Any], present: dict[str, Any] | None) -> None:
        if present is not None and self._store.has(wanted["secret"]):
            whole = self._api.get(f"/v1/acl/token/{present['AccessorID']}")
            if whole["SecretID"] == self._store.text(wanted["secret"]) and sorted(
                whole["Policies"] or []
            ) == sorted(wanted["policies"]):
                return
        self._changed.append(f"token {wanted['name']}")
        if self._dry:
            return
        made = self._api.put(
            "/v1/acl/token",
            {"Name": wanted["name"], "Type": "client", "Policies": wanted["policies"], "Global": False},
        )
        self._store.write(wanted["secret"], f"{made['SecretID']}\n".encode())
        if present is not None:
            self._api.call("DELETE", f"/v1/acl/token/{present['AccessorID']}")
