# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a node out of Nomad's scheduling and lets it in again; called by the action plugin nomad_node.

Who sets a node aside leaves a reason with the drain. Only what bears our own reason is ours to take back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

SET_ASIDE = "set aside by somebody"
MARKED = "Node marked as ineligible for scheduling"


class Api(Protocol):
    """Nomad's, of one server."""

    def get(self, path: str) -> Any: ...
    def put(self, path: str, body: Mapping[str, Any]) -> Any: ...


class NodeError(Exception):
    """The node is not there, or did not get where it should in time; the text says which."""


def set_aside(
    api: Api, name: str, reason: str, *, deadline_s: int, wait_s: int, dry: bool = False
) -> dict[str, Any]:
    """Move the work elsewhere and return when none runs on the node: `changed`, and `ours`, whether the node
    may be let in again.

    Whom somebody else has set aside, for another reason or with none, is not ours, and keeps what was said.
    """
    node = _find(api, name)
    eligible = node["SchedulingEligibility"] == "eligible"
    before = {} if eligible else _latest_drain(api, node)
    ours = eligible or before.get("message") == reason
    if not eligible and not node["Drain"] and not _running(api, node):
        return {"changed": False, "ours": ours}
    if dry:
        return {"changed": True, "ours": ours}
    spec = {"Deadline": deadline_s * 1_000_000_000, "IgnoreSystemJobs": True}
    meta = {"message": reason} if ours else {"message": SET_ASIDE, **before}
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


def let_work(api: Api, name: str, *, wait_s: int, dry: bool = False) -> dict[str, Any]:
    """Return when the node is ready and takes work: whether that `changed` anything."""
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


def _find(api: Api, name: str) -> dict[str, Any]:
    """The newest node of that name: a machine that was set up anew has another id than before."""
    nodes = [node for node in api.get("/v1/nodes") if node["Name"] == name]
    if not nodes:
        raise NodeError(f"there is no node called {name}.")
    newest: dict[str, Any] = max(nodes, key=lambda node: (node["Status"] == "ready", node["ModifyIndex"]))
    return newest


def _latest_drain(api: Api, node: dict[str, Any]) -> dict[str, str]:
    """The notes of its last drain; none where the node was set aside without a drain since then."""
    whole = api.get(f"/v1/node/{node['ID']}")
    entries = [
        one["Message"] for one in whole["Events"] if one["Subsystem"] == "Drain" or one["Message"] == MARKED
    ]
    if entries[-1:] == [MARKED]:
        return {}
    return (whole["LastDrain"] or {}).get("Meta") or {}


def _running(api: Api, node: dict[str, Any]) -> list[str]:
    """Names of what runs on the node, system jobs left out."""
    allocations = api.get(f"/v1/node/{node['ID']}/allocations") or []
    return [
        one["Name"]
        for one in allocations
        if one["ClientStatus"] in ("pending", "running")
        and (one.get("Job") or {}).get("Type") not in ("system", "sysbatch")
    ]
