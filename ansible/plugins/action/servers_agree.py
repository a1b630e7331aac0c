# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until the servers of Consul and Nomad say that all of them are healthy and follow one leader."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import EngineApi, EngineError
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import (
    SecretStore,
    SecretStoreError,
)

_ARGUMENTS: dict[str, Any] = {
    "secrets": {"type": "path", "required": True},
    "address": {"type": "str", "required": True},
    "wait_s": {"type": "int", "default": 180},
}


class ActionModule(ActionBase):
    """Fails with the last state when they do not agree in time."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _, asked = self.validate_argument_spec(argument_spec=_ARGUMENTS)
        try:
            store = SecretStore(asked["secrets"])
            store.check()
            address = asked["address"]
            tokens = {name: store.text(f"{name}/management.token") for name in ("consul", "nomad")}
            consul = EngineApi(address, 8501, store, "X-Consul-Token", tokens["consul"])
            nomad = EngineApi(address, 4646, store, "X-Nomad-Token", tokens["nomad"])
            for name, api in (("Consul", consul), ("Nomad", nomad)):
                _wait(name, api, asked["wait_s"])
        except SecretStoreError as error:
            raise AnsibleActionFail(str(error)) from error
        except EngineError as error:
            raise AnsibleActionFail(str(error)) from error
        return {"changed": False}


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
