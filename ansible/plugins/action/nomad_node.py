# SPDX-License-Identifier: GPL-3.0-or-later
"""Drains a node of Nomad or lets it work again, and waits until that is so; runs on the controller."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import (
    NOMAD,
    EngineApi,
    EngineError,
    management_api,
)
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.plugin_utils.farm_action import FarmAction

_ARGUMENTS: dict[str, Any] = {
    "secrets": {"type": "path", "required": True},
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "default": 4646},
    "node": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["drained", "working"], "required": True},
    "reason": {"type": "str", "default": "drained by an operator"},
    "deadline_s": {"type": "int", "default": 3600},
    "wait_s": {"type": "int", "default": 120},
}


class ActionModule(FarmAction):
    """`drained` returns when no work runs on the node; `working` when it is ready and takes work."""

    arguments = _ARGUMENTS
    engine_failed = "Nomad: "

    def act(self, asked: dict[str, Any]) -> dict[str, Any]:
        api = management_api(NOMAD, SecretStore.opened(asked["secrets"]), asked["address"], asked["port"])
        node = _find(api, asked["node"])
        return self._drain(api, node, asked) if asked["state"] == "drained" else self._work(api, node, asked)

    def _drain(self, api: EngineApi, node: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
        if node["SchedulingEligibility"] != "eligible" and not _running(api, node) and not node["Drain"]:
            return {"changed": False}
        if self._task.check_mode:
            return {"changed": True}
        spec = {"Deadline": asked["deadline_s"] * 1_000_000_000, "IgnoreSystemJobs": True}
        api.put(f"/v1/node/{node['ID']}/drain", {"DrainSpec": spec, "Meta": {"message": asked["reason"]}})
        deadline = time.monotonic() + asked["deadline_s"] + asked["wait_s"]
        while True:
            node = _find(api, asked["node"])
            running = _running(api, node)
            if not node["Drain"] and not running:
                return {"changed": True}
            if time.monotonic() > deadline:
                raise EngineError(
                    f"{asked['node']} still runs {len(running)} allocations: {', '.join(running)[:200]}"
                )
            time.sleep(1)

    def _work(self, api: EngineApi, node: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
        changed = node["Drain"] or node["SchedulingEligibility"] != "eligible"
        if self._task.check_mode:
            return {"changed": changed}
        if changed:
            api.put(f"/v1/node/{node['ID']}/drain", {"DrainSpec": None, "MarkEligible": True})
        deadline = time.monotonic() + asked["wait_s"]
        while True:
            node = _find(api, asked["node"])
            if (
                node["Status"] == "ready"
                and node["SchedulingEligibility"] == "eligible"
                and not node["Drain"]
            ):
                return {"changed": changed}
            if time.monotonic() > deadline:
                state = f"{node['Status']}, {node['SchedulingEligibility']}"
                raise EngineError(
                    f"{asked['node']} is {state} after {asked['wait_s']} s. Its health checks say why: "
                    "ansible-playbook ansible/playbooks/verify.yaml"
                )
            time.sleep(1)


def _find(api: EngineApi, name: str) -> dict[str, Any]:
    """The newest node of that name: a machine that was set up anew has another id than before."""
    nodes = [node for node in api.get("/v1/nodes") if node["Name"] == name]
    if not nodes:
        raise EngineError(f"there is no node called {name}.")
    return max(nodes, key=lambda node: (node["Status"] == "ready", node["ModifyIndex"]))


def _running(api: EngineApi, node: dict[str, Any]) -> list[str]:
    """Names of what runs on the node, system jobs left out."""
    allocations = api.get(f"/v1/node/{node['ID']}/allocations") or []
    return [
        one["Name"]
        for one in allocations
        if one["ClientStatus"] in ("pending", "running")
        and (one.get("Job") or {}).get("Type") not in ("system", "sysbatch")
    ]
