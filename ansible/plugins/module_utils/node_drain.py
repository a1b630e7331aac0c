# SPDX-License-Identifier: GPL-3.0-or-later
"""Drains a node of Nomad and makes it eligible again; called by the action plugin nomad_node.

A drain carries a reason; only a node with our own reason is enabled again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import EngineApi

FOREIGN_DRAIN = "drained by an operator"
INELIGIBLE_EVENT = "Node marked as ineligible for scheduling"


class NodeError(Exception):
    """Raised for an unknown node, and for one that is not drained or ready in time; the text says which."""


def drain(
    api: EngineApi, name: str, reason: str, *, deadline_s: int, wait_s: int, dry: bool = False
) -> dict[str, Any]:
    """Drains the node and returns when no work runs on it. Result: `changed`, and `ours` (drained by us, so
    that it may be enabled again).

    A node that was drained for another reason, or none, is not `ours`; its drain metadata is kept.
    """
    node = _find(api, name)
    eligible = node["SchedulingEligibility"] == "eligible"
    before = {} if eligible else _last_drain_meta(api, node)
    ours = eligible or before.get("message") == reason
    if not eligible and not node["Drain"] and not _running(api, node):
        return {"changed": False, "ours": ours}
    if dry:
        return {"changed": True, "ours": ours}
    spec = {"Deadline": deadline_s * 1_000_000_000, "IgnoreSystemJobs": True}
    meta = {"message": reason} if ours else {"message": FOREIGN_DRAIN, **before}
    api.put(f"/v1/node/{node['ID']}/drain", {"DrainSpec": spec, "Meta": meta})
    end = time.monotonic() + deadline_s + wait_s
    while True:
        node = _find(api, name)
        running = _running(api, node)
        if not node["Drain"] and not running:
            return {"changed": True, "ours": ours}
        if time.monotonic() > end:
            raise NodeError(f"{name} still runs {len(running)} allocations: {', '.join(running)[:200]}")
        time.sleep(1)


def enable(api: EngineApi, name: str, *, wait_s: int, dry: bool = False) -> dict[str, Any]:
    """Makes the node eligible and returns when it is ready: whether that `changed` anything."""
    node = _find(api, name)
    changed = node["Drain"] or node["SchedulingEligibility"] != "eligible"
    if dry:
        return {"changed": changed}
    if changed:
        api.put(f"/v1/node/{node['ID']}/drain", {"DrainSpec": None, "MarkEligible": True})
    end = time.monotonic() + wait_s
    while True:
        node = _find(api, name)
        if node["Status"] == "ready" and node["SchedulingEligibility"] == "eligible" and not node["Drain"]:
            return {"changed": changed}
        if time.monotonic() > end:
            raise NodeError(
                f"{name} is {node['Status']}, {node['SchedulingEligibility']} after {wait_s} s. Its health "
                "checks say why: ansible-playbook ansible/playbooks/verify.yaml"
            )
        time.sleep(1)


def _find(api: EngineApi, name: str) -> dict[str, Any]:
    """Returns the newest node of that name: a reinstalled machine has another id than before."""
    nodes = [node for node in api.get("/v1/nodes") if node["Name"] == name]
    if not nodes:
        raise NodeError(f"there is no node called {name}.")
    newest: dict[str, Any] = max(nodes, key=lambda node: (node["Status"] == "ready", node["ModifyIndex"]))
    return newest


def _last_drain_meta(api: EngineApi, node: dict[str, Any]) -> dict[str, str]:
    """Returns the metadata of its last drain; empty where the node was marked ineligible without a drain
    since.
    """
    whole = api.get(f"/v1/node/{node['ID']}")
    entries = [
        one["Message"]
        for one in whole["Events"]
        if one["Subsystem"] == "Drain" or one["Message"] == INELIGIBLE_EVENT
    ]
    if entries[-1:] == [INELIGIBLE_EVENT]:
        return {}
    return (whole["LastDrain"] or {}).get("Meta") or {}


def _running(api: EngineApi, node: dict[str, Any]) -> list[str]:
    """Returns the names of allocations on the node, without system jobs."""
    allocations = api.get(f"/v1/node/{node['ID']}/allocations") or []
    return [
        one["Name"]
        for one in allocations
        if one["ClientStatus"] in ("pending", "running")
        and (one.get("Job") or {}).get("Type") not in ("system", "sysbatch")
    ]
