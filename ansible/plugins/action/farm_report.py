# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Nomad and Consul about the farm and writes the page of playbooks/verify.yaml; runs on the controller.

It reads only, and never fails on what it finds: the problems are its result.
"""

from __future__ import annotations

import datetime
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.argument_specs import TEXT, dicts
from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import (
    CONSUL,
    NOMAD,
    EngineError,
    management_api,
)
from ansible_collections.soundstage.farm.plugins.module_utils.farm_report import (
    Engines,
    Machine,
    page,
    problems,
)
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.plugin_utils.farm_action import FarmAction

_CONSUL_STATES = {0: "none", 1: "alive", 2: "leaving", 3: "left", 4: "failed"}
_ARGUMENTS: dict[str, Any] = {
    "secrets": {"type": "path", "required": True},
    "farm": {"type": "str", "required": True},
    "addresses": {"type": "list", "elements": "str", "required": True},
    "clock_tolerance_s": {"type": "int", "default": 60},
    "machines": dicts(
        required=True,
        name=TEXT,
        control={"type": "bool", "required": True},
        works={"type": "bool", "required": True},
        reachable={"type": "bool", "required": True},
        health={"type": "dict"},
        clock_off_s={"type": "float", "default": 0.0},
    ),
}


class ActionModule(FarmAction):
    """Returns `problems` (machine, code, message, hint) and `page` (lines)."""

    arguments = _ARGUMENTS

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        machines = [Machine(**one) for one in params["machines"]]
        engines = _ask(SecretStore.open(params["secrets"]), params["addresses"])
        found = problems(machines, engines, params["clock_tolerance_s"])
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        return {
            "changed": False,
            "problems": [vars(one) for one in found],
            "page": page(params["farm"], machines, engines, found, now),
        }


def _ask(store: SecretStore, addresses: list[str]) -> Engines:
    """The first control machine whose engine answers speaks for all."""
    silent: dict[str, str] = {}
    nodes: list[dict[str, Any]] = []
    healthy = 0
    members: dict[str, str] = {}
    for address in addresses:
        nomad = management_api(NOMAD, store, address)
        try:
            nodes = nomad.get("/v1/nodes?resources=true")
            # 429 when a server is unhealthy, with the same answer; the count is what matters here.
            health = nomad.get("/v1/operator/autopilot/health")
            healthy = sum(bool(one["Healthy"]) for one in health["Servers"])
            silent.pop("nomad", None)
            break
        except EngineError as error:
            silent["nomad"] = str(error)
    for address in addresses:
        consul = management_api(CONSUL, store, address)
        try:
            members = {
                one["Name"]: _CONSUL_STATES.get(one["Status"], "unknown")
                for one in consul.get("/v1/agent/members")
            }
            silent.pop("consul", None)
            break
        except EngineError as error:
            silent["consul"] = str(error)
    return Engines(nodes, healthy, members, silent)
