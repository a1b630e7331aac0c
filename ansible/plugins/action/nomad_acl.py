# SPDX-License-Identifier: GPL-3.0-or-later
"""Bootstraps Nomad's access control and keeps its policies and tokens as asked; runs on the controller.

Nomad makes the secrets of tokens itself: they go straight into the secrets folder, under the name asked for.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import NOMAD
from ansible_collections.soundstage.farm.plugins.plugin_utils.access_control import (
    ADDRESS,
    AccessAction,
    EngineAccess,
)

_ARGUMENTS: dict[str, Any] = {
    **ADDRESS,
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


class _NomadAccess(EngineAccess):
    engine = NOMAD
    refuses_bootstrap_with = 400

    def keep(self) -> None:
        for wanted in self.asked["policies"]:
            self._policy(wanted)
        if self.asked["tokens"]:
            tokens = self.api.get("/v1/acl/tokens")
            for wanted in self.asked["tokens"]:
                self._token(wanted, [one for one in tokens if one["Name"] == wanted["name"]])

    def _policy(self, wanted: dict[str, str]) -> None:
        path = f"/v1/acl/policy/{wanted['name']}"
        present = self.api.find(path)
        if (
            present
            and present["Rules"].strip() == wanted["rules"].strip()
            and present["Description"] == wanted["description"]
        ):
            return
        body = {"Name": wanted["name"], "Description": wanted["description"], "Rules": wanted["rules"]}
        self.change(f"policy {wanted['name']}", "POST", path, body)

    def _token(self, wanted: dict[str, Any], present: list[dict[str, Any]]) -> None:
        """Keep the one token whose secret is in the folder; others of its name are old, or of a run that was
        cut off before it wrote the secret down.
        """
        name = f"token {wanted['name']}"
        ours = self._ours(wanted, present)
        if ours is None:
            body = {"Name": wanted["name"], "Type": "client", "Policies": wanted["policies"], "Global": False}
            made = self.change(name, "PUT", "/v1/acl/token", body)
            if made is not None:
                self.store.write(wanted["secret"], f"{made['SecretID']}\n".encode())
        for old in present:
            if old is not ours:
                self.change(f"old {name}", "DELETE", f"/v1/acl/token/{old['AccessorID']}")

    def _ours(self, wanted: dict[str, Any], present: list[dict[str, Any]]) -> dict[str, Any] | None:
        if not self.store.has(wanted["secret"]):
            return None
        secret = self.store.text(wanted["secret"])
        for one in present:
            whole = self.api.get(f"/v1/acl/token/{one['AccessorID']}")
            if whole["SecretID"] == secret and sorted(whole["Policies"] or []) == sorted(wanted["policies"]):
                return one
        return None


class ActionModule(AccessAction):
    """Returns what was made or changed, by name."""

    arguments = _ARGUMENTS
    access = _NomadAccess
    engine_failed = "Nomad: "
