# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until the servers of Consul and Nomad say that all of them are healthy and follow one leader."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import (
    CONSUL,
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
    "wait_s": {"type": "int", "default": 180},
}


class ActionModule(FarmAction):
    """Returns the addresses of the leaders. Fails with the last state when they do not agree in time."""

    arguments = _ARGUMENTS

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        store = SecretStore.open(params["secrets"])
        leaders = []
        for name, engine in (("Consul", CONSUL), ("Nomad", NOMAD)):
            api = management_api(engine, store, params["address"])
            _wait(name, api, params["wait_s"])
            leaders.append(str(api.get("/v1/status/leader")).rpartition(":")[0])
        return {"changed": False, "leaders": leaders}


def _wait(name: str, api: EngineApi, seconds: int) -> None:
    """Both engines answer 429 to this question while a server is not healthy."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            health = api.get("/v1/operator/autopilot/health")
            if health["Healthy"]:
                return
            state = ", ".join(one["Name"] for one in health["Servers"] if not one["Healthy"])
            reason = f"these servers are not healthy: {state}"
        except EngineError as error:
            reason = str(error)
        if time.monotonic() > deadline:
            raise EngineError(f"{name} is not well after {seconds} s: {reason}")
        time.sleep(1)
