# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a job file on the farm's Nomad and waits until it is well; runs on the controller."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.deploying import (
    DeployError,
    differs,
    plan_job,
    register,
    wait_until_found,
    wait_until_well,
)
from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import (
    CONSUL,
    NOMAD,
    EngineError,
    management_api,
    wait_for_leader,
)
from ansible_collections.soundstage.farm.plugins.module_utils.last_words import last_words
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.plugin_utils.farm_action import FarmAction

_ARGUMENTS: dict[str, Any] = {
    "secrets": {"type": "path", "required": True},
    "address": {"type": "str", "required": True},
    "file": {"type": "path", "required": True},
    "variables": {"type": "dict", "default": {}},
    "service": {"type": "str", "default": ""},
    "wait_s": {"type": "int", "default": 300},
}


class ActionModule(FarmAction):
    """`changed` when the job was another one or none; then `address` and `port` of `service` in Consul, where
    it is named. A job that is as it should be is still waited for. One that ends again and again is not, and
    what it wrote last is told without the farm's secrets. Nothing secret belongs into `variables`.
    """

    arguments = _ARGUMENTS
    engine_failed = "Nomad: "

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        store, dry = SecretStore.open(params["secrets"]), self._task.check_mode
        if dry and not store.has("tls/operator.pem"):
            return {"changed": True, "msg": "The farm has no secrets yet; the job would be run."}
        nomad = management_api(NOMAD, store, params["address"])
        wait_for_leader(nomad, 5 if dry else 60)
        deadline = time.monotonic() + params["wait_s"]
        job, plan = plan_job(nomad, Path(params["file"]).read_text(encoding="utf-8"), params["variables"])
        changed = differs(plan)
        if dry:
            return {"changed": changed, "job": job["ID"]}
        if changed:
            register(nomad, job, plan)
        try:
            allocations = wait_until_well(nomad, job, deadline)
            found: dict[str, Any] = {}
            if params["service"]:
                consul = management_api(CONSUL, store, params["address"])
                found = wait_until_found(consul, params["service"], allocations, deadline)
        except DeployError as error:
            words = last_words(nomad, *error.ended, store.all_texts()) if error.ended else ""
            last_output = f"It wrote last:\n{words}\n" if words else ""
            raise EngineError(f"{error} {last_output}Its log: nomad alloc logs -job {job['ID']}") from error
        return {"changed": changed, "job": job["ID"], **found}
