# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstraps Consul's access control and keeps its policies and tokens as asked; runs on the controller.

Every secret is made beforehand by `farm_secrets` and read from its folder by name, so a run that is cut off
at any point is completed by the next, and no secret passes through a variable of Ansible.
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
    "port": {"type": "int", "default": 8501},
    "wait_s": {"type": "int", "default": 60},
    "policies": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"name": {"type": "str", "required": True}, "rules": {"type": "str", "required": True}},
    },
    # During a rotation the old tokens stay until the new ones are in place everywhere.
    "keep_old_tokens": {"type": "bool", "default": False},
    "tokens": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "description": {"type": "str", "required": True},
            "secret": {"type": "str", "required": True, "no_log": False},
            "policies": {"type": "list", "elements": "str", "default": []},
            "node": {"type": "str"},
            "datacenter": {"type": "str"},
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
            return _ConsulAccess(store, asked, dry=self._task.check_mode).run()
        except SecretStoreError as error:
            raise AnsibleActionFail(str(error)) from error
        except EngineError as error:
            raise AnsibleActionFail(f"Consul: {error}") from error


class _ConsulAccess:
    def __init__(self, store: SecretStore, asked: dict[str, Any], *, dry: bool) -> None:
        self._store = store
        self._asked = asked
        self._dry = dry
        self._changed: list[str] = []
        self._management = store.text("consul/management.token")
        self._api = EngineApi(asked["address"], asked["port"], store, "X-Consul-Token", self._management)

    def run(self) -> dict[str, Any]:
        if not self._bootstrapped():
            if self._dry:
                return {"changed": True, "made": ["bootstrap"]}
            self._bootstrap()
        policies = {policy["Name"]: policy for policy in self._api.get("/v1/acl/policies")}
        for wanted in self._asked["policies"]:
            self._policy(wanted, policies.get(wanted["name"]))
        if self._asked["tokens"]:
            tokens = self._api.get("/v1/acl/tokens")
            for wanted in self._asked["tokens"]:
                self._token(wanted, [one for one in tokens if one["Description"] == wanted["description"]])
        return {"changed": bool(self._changed), "made": self._changed}

    def _bootstrapped(self) -> bool:
        """Whether the management token works; a Consul that answers to another one is not ours."""
        wait_for_leader(self._api, 5 if self._dry else self._asked["wait_s"])
        return self._api.knows_its_token()

    def _bootstrap(self) -> None:
        try:
            self._api.put("/v1/acl/bootstrap", {"BootstrapSecret": self._management})
        except EngineError as error:
            if error.status != 403:
                raise
            raise EngineError(
                "access control was bootstrapped before, and not with the management token in "
                f"{self._store.folder}/consul/management.token. Put the right token there; when it is lost, "
                "see “A lost management token” in docs/guide/cluster.md."
            ) from error
        self._changed.append("bootstrap")

    def _policy(self, wanted: dict[str, str], present: dict[str, Any] | None) -> None:
        if present is None:
            self._changed.append(f"policy {wanted['name']}")
            if not self._dry:
                self._api.put("/v1/acl/policy", {"Name": wanted["name"], "Rules": wanted["rules"]})
            return
        whole = self._api.get(f"/v1/acl/policy/{present['ID']}")
        if whole["Rules"].strip() != wanted["rules"].strip():
            self._changed.append(f"policy {wanted['name']}")
            if not self._dry:
                self._api.put(
                    f"/v1/acl/policy/{present['ID']}", {"Name": wanted["name"], "Rules": wanted["rules"]}
                )

    def _token(self, wanted: dict[str, Any], present: list[dict[str, Any]]) -> None:
        """Keep the one token whose secret is in the folder; others of its name are old."""
        secret = self._store.text(wanted["secret"])
        identities = (
            [{"NodeName": wanted["node"], "Datacenter": wanted["datacenter"]}] if wanted["node"] else []
        )
        body = {
            "Description": wanted["description"],
            "Policies": [{"Name": name} for name in wanted["policies"]],
            "NodeIdentities": identities,
        }
        ours = next((one for one in present if one.get("SecretID") == secret), None)
        if ours is None:
            self._change(
                f"token {wanted['description']}", "PUT", "/v1/acl/token", {**body, "SecretID": secret}
            )
        elif _rights(ours) != _rights(body):
            self._change(f"token {wanted['description']}", "PUT", f"/v1/acl/token/{ours['AccessorID']}", body)
        if not self._asked["keep_old_tokens"]:
            for old in present:
                if old is not ours:
                    what = f"old token {wanted['description']}"
                    self._change(what, "DELETE", f"/v1/acl/token/{old['AccessorID']}")

    def _change(self, what: str, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        self._changed.append(what)
        if not self._dry:
            self._api.call(method, path, body)


def _rights(token: dict[str, Any]) -> tuple[list[str], list[tuple[str, str]]]:
    return (
        sorted(policy["Name"] for policy in token.get("Policies") or []),
        sorted((one["NodeName"], one["Datacenter"]) for one in token.get("NodeIdentities") or []),
    )
