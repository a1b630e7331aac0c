# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of replacing secrets while the farm runs: begin, switch, finish.

Called by ansible/playbooks/rotate-secrets.yaml, which places the files after each step.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import (
    CONSUL,
    NOMAD,
    management_api,
)
from ansible_collections.soundstage.farm.plugins.module_utils.secret_rotation import (
    STEPS,
    WHAT,
    SecretRotation,
)
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.plugin_utils.farm_action import FarmAction

_ARGUMENTS: dict[str, Any] = {
    "secrets": {"type": "path", "required": True},
    "farm": {"type": "str", "required": True},
    "step": {"type": "str", "choices": STEPS, "required": True},
    "what": {"type": "list", "elements": "str", "choices": WHAT, "required": True},
    "consul": {"type": "str", "required": True},
    "nomad": {"type": "str", "required": True},
}


class ActionModule(FarmAction):
    """Returns what it did, in words without secrets."""

    arguments = _ARGUMENTS
    engine_failed = "The rotation stopped, and can be run again: "

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        if self._task.check_mode:
            return {
                "changed": True,
                "msg": f"Would {params['step']} the rotation of {', '.join(params['what'])}.",
            }
        store = SecretStore.open(params["secrets"])
        with store.lock():
            rotation = SecretRotation(
                store,
                params["farm"],
                consul=lambda: management_api(CONSUL, store, params["consul"]),
                nomad=lambda: management_api(NOMAD, store, params["nomad"]),
            )
            done = rotation.run(params["step"], params["what"])
        return {"changed": bool(done), "done": done}
