# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstraps Consul's access control and keeps its policies and tokens as asked; runs on the controller.

Tokens have secrets that `farm_secrets` made, read from its folder by name.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.argument_specs import TEXT, TEXTS, dicts
from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import CONSUL
from ansible_collections.soundstage.farm.plugins.plugin_utils.access_control import (
    CONNECTION_ARGUMENTS,
    AccessAction,
)

_ARGUMENTS: dict[str, Any] = {
    **CONNECTION_ARGUMENTS,
    "policies": dicts(name=TEXT, rules=TEXT),
    # During a rotation the old tokens stay until the new ones are in place everywhere.
    "keep_old_tokens": {"type": "bool", "default": False},
    # Descriptions of tokens that must not be there any more.
    "ended_tokens": {**TEXTS, "no_log": False},
    "tokens": dicts(
        description=TEXT,
        secret={**TEXT, "no_log": False},
        policies=TEXTS,
        node={"type": "str"},
        datacenter={"type": "str"},
    ),
}


class ActionModule(AccessAction):
    """Returns what was made or changed, by name."""

    arguments = _ARGUMENTS
    engine = CONSUL
    engine_failed = "Consul: "
    refuses_bootstrap_with = 403

    def reconcile(self) -> None:
        policies = {policy["Name"]: policy for policy in self.api.get("/v1/acl/policies")}
        for expected in self.params["policies"]:
            self._policy(expected, policies.get(expected["name"]))
        if not self.params["tokens"] and not self.params["ended_tokens"]:
            return
        tokens = self.api.get("/v1/acl/tokens")
        for expected in self.params["tokens"]:
            self._token(expected, [one for one in tokens if one["Description"] == expected["description"]])
        for ended in [one for one in tokens if one["Description"] in self.params["ended_tokens"]]:
            name = f"ended token {ended['Description']}"
            self.change(name, "DELETE", f"/v1/acl/token/{ended['AccessorID']}")

    def _policy(self, expected: dict[str, str], present: dict[str, Any] | None) -> None:
        body = {"Name": expected["name"], "Rules": expected["rules"]}
        if present is None:
            self.change(f"policy {expected['name']}", "PUT", "/v1/acl/policy", body)
            return
        path = f"/v1/acl/policy/{present['ID']}"
        if self.api.get(path)["Rules"].strip() != expected["rules"].strip():
            self.change(f"policy {expected['name']}", "PUT", path, body)

    def _token(self, expected: dict[str, Any], present: list[dict[str, Any]]) -> None:
        """Keep the one token whose secret is in the folder; others of its name are old."""
        secret = self.store.text(expected["secret"])
        identities = (
            [{"NodeName": expected["node"], "Datacenter": expected["datacenter"]}] if expected["node"] else []
        )
        body = {
            "Description": expected["description"],
            "Policies": [{"Name": name} for name in expected["policies"]],
            "NodeIdentities": identities,
        }
        name = f"token {expected['description']}"
        ours = next((one for one in present if one.get("SecretID") == secret), None)
        if ours is None:
            self.change(name, "PUT", "/v1/acl/token", {**body, "SecretID": secret})
        elif _rights(ours) != _rights(body):
            self.change(name, "PUT", f"/v1/acl/token/{ours['AccessorID']}", body)
        if not self.params["keep_old_tokens"]:
            for old in present:
                if old is not ours:
                    self.change(f"old {name}", "DELETE", f"/v1/acl/token/{old['AccessorID']}")


def _rights(token: dict[str, Any]) -> tuple[list[str], list[tuple[str, str]]]:
    return (
        sorted(policy["Name"] for policy in token.get("Policies") or []),
        sorted((one["NodeName"], one["Datacenter"]) for one in token.get("NodeIdentities") or []),
    )
