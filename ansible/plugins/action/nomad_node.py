# SPDX-License-Identifier: GPL-3.0-or-later
"""Drains a node of Nomad or lets it work again, and waits until that is so; runs on the controller."""

from __future__ import annotations

from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import (
    NOMAD,
    EngineError,
    management_api,
)
from ansible_collections.soundstage.farm.plugins.module_utils.node_drain import (
    NodeError,
    drain,
    enable,
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
    """`drained` returns when no work runs on the node; `ours`: it was drained by us and may be enabled again.
    `working` returns when it is ready and eligible.
    """

    arguments = _ARGUMENTS
    engine_failed = "Nomad: "

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        api = management_api(NOMAD, SecretStore.open(params["secrets"]), params["address"], params["port"])
        name, wait_s, dry = params["node"], params["wait_s"], self._task.check_mode
        try:
            if params["state"] == "working":
                return enable(api, name, wait_s=wait_s, dry=dry)
            deadline_s = params["deadline_s"]
            return drain(api, name, params["reason"], deadline_s=deadline_s, wait_s=wait_s, dry=dry)
        except NodeError as error:
            raise EngineError(str(error)) from error
