# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs a machine's SSH host key with the farm's host authority; the role then places the certificate."""

from __future__ import annotations

import datetime
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.module_utils.ssh_authority import SshAuthority
from ansible_collections.soundstage.farm.plugins.plugin_utils.farm_action import FarmAction

_ARGUMENTS: dict[str, Any] = {
    "secrets": {"type": "path", "required": True},
    "public_key": {"type": "str", "required": True},
    "present": {"type": "str", "default": ""},
    "name": {"type": "str", "required": True},
    "principals": {"type": "list", "elements": "str", "required": True},
    "days": {"type": "int", "default": 365},
    "renew_before_days": {"type": "int", "default": 60},
}


class ActionModule(FarmAction):
    """Returns `certificate`: the present one while it is good, else a new one. A certificate is no secret."""

    arguments = _ARGUMENTS

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        store = SecretStore.open(params["secrets"])
        if not store.has("ssh/host_ca") and self._task.check_mode:
            return {"changed": False, "certificate": params["present"]}
        authority = SshAuthority(store, "host_ca", datetime.datetime.now(datetime.UTC))
        left_s = params["renew_before_days"] * 86400
        if params["present"] and authority.current(
            params["present"].encode(), params["public_key"], params["principals"], left_s
        ):
            return {"changed": False, "certificate": params["present"]}
        signed = authority.sign_host(
            params["public_key"], params["name"], params["principals"], params["days"]
        )
        # The machine changes when the certificate is placed, and that task says so.
        return {"changed": False, "certificate": signed.decode().strip()}
