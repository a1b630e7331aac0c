# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstraps Nomad's access control and keeps its policies and tokens as asked; runs on the controller.

Nomad makes the secrets of tokens itself: they go straight into the secrets folder, under the name asked for.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.argument_specs import TEXT, dicts
from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import NOMAD
from ansible_collections.soundstage.farm.plugins.plugin_utils.access_control import (
    CONNECTION_ARGUMENTS,
    AccessAction,
)

_ARGUMENTS: dict[str, Any] = {
    **CONNECTION_ARGUMENTS,
    # During a rotation the old tokens stay until the new ones are in place everywhere.
    "keep_old_tokens": {"type": "bool", "default": False},
    "policies": dicts(name=TEXT, description={"type": "str", "default": ""}, rules=TEXT),
    "tokens": dicts(
        name=TEXT,
        secret={**TEXT, "no_log": False},
        policies={"type": "list", "elements": "str", "required": True},
    ),
}


class ActionModule(AccessAction):
    """Returns what was made or changed, by name."""

    arguments = _ARGUMENTS
    engine = NOMAD
    engine_failed = "Nomad: "
    refuses_bootstrap_with = 400

    def reconcile(self) -> None:
        for expected in self.params["policies"]:
            self._policy(expected)
        if self.params["tokens"]:
            tokens = self.api.get("/v1/acl/tokens")
            for expected in self.params["tokens"]:
                self._token(expected, [one for one in tokens if one["Name"] == expected["name"]])

    def _policy(self, expected: dict[str, str]) -> None:
        path = f"/v1/acl/policy/{expected['name']}"
        present = self.api.find(path)
        if (
            present
            and present["Rules"].strip() == expected["rules"].strip()
            and present["Description"] == expected["description"]
        ):
            return
        body = {"Name": expected["name"], "Description": expected["description"], "Rules": expected["rules"]}
        self.change(f"policy {expected['name']}", "POST", path, body)

    def _token(self, expected: dict[str, Any], present: list[dict[str, Any]]) -> None:
        """Keep the one token whose secret is in the folder; others of its name are old, or of a run that was
        cut off before it wrote the secret down, and go unless `keep_old_tokens` says otherwise.
        """
        name = f"token {expected['name']}"
        ours = self._ours(expected, present)
        if ours is None:
            body = {
                "Name": expected["name"],
                "Type": "client",
                "Policies": expected["policies"],
                "Global": False,
            }
            token = self.change(name, "PUT", "/v1/acl/token", body)
            if token is not None:
                self.store.write(expected["secret"], f"{token['SecretID']}\n".encode())
        if not self.params["keep_old_tokens"]:
            for old in present:
                if old is not ours:
                    self.change(f"old {name}", "DELETE", f"/v1/acl/token/{old['AccessorID']}")

    def _ours(self, expected: dict[str, Any], present: list[dict[str, Any]]) -> dict[str, Any] | None:
        if not self.store.has(expected["secret"]):
            return None
        secret = self.store.text(expected["secret"])
        for one in present:
            whole = self.api.get(f"/v1/acl/token/{one['AccessorID']}")
            if whole["SecretID"] == secret and sorted(whole["Policies"] or []) == sorted(
                expected["policies"]
            ):
                return one
        return None
