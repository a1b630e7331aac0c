# SPDX-License-Identifier: GPL-3.0-or-later
"""The base of consul_acl and nomad_acl: the bootstrap of access control, and the list of changes.

`farm_secrets` creates the management token before, and it is read from its folder. So the next run completes
one that was interrupted at any point, and no secret passes through a variable of Ansible.
"""

from __future__ import annotations

from typing import Any, ClassVar

from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import (
    Engine,
    EngineError,
    management_api,
    wait_for_leader,
)
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStore
from ansible_collections.soundstage.farm.plugins.plugin_utils.farm_action import FarmAction

CONNECTION_ARGUMENTS: dict[str, Any] = {
    "secrets": {"type": "path", "required": True},
    "address": {"type": "str", "required": True},
    "port": {"type": "int"},  # the engine's own unless given
    "wait_s": {"type": "int", "default": 60},
}


class AccessAction(FarmAction):
    """Converges the policies and tokens of one running engine; subclasses implement `reconcile`. Returns what
    was made or changed, by name.
    """

    engine: ClassVar[Engine]
    # The status of the engine's answer when it was bootstrapped before.
    refuses_bootstrap_with: ClassVar[int]

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        self.store, self.params, self.dry = SecretStore.open(params["secrets"]), params, self._task.check_mode
        if self.dry and not self.store.has("tls/operator.pem"):
            return {"changed": True, "msg": "The farm has no secrets yet; everything would be made."}
        self.api = management_api(self.engine, self.store, params["address"], params["port"])
        self._changes: list[str] = []
        wait_for_leader(self.api, 5 if self.dry else params["wait_s"])
        if not self.api.knows_its_token():
            if self.dry:
                return {"changed": True, "made": ["bootstrap"]}
            self._bootstrap()
        self.reconcile()
        return {"changed": bool(self._changes), "made": self._changes}

    def reconcile(self) -> None:
        """Makes policies and tokens match `params`."""
        raise NotImplementedError

    def change(self, what: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Records the change `what` and, unless in check mode, makes it; returns the engine's answer."""
        self._changes.append(what)
        return None if self.dry else self.api.call(method, path, body)

    def _bootstrap(self) -> None:
        token = f"{self.engine.name}/management.token"
        try:
            self.change("bootstrap", "PUT", "/v1/acl/bootstrap", {"BootstrapSecret": self.store.text(token)})
        except EngineError as error:
            if error.status != self.refuses_bootstrap_with:
                raise
            raise EngineError(
                "access control was bootstrapped before, and not with the management token in "
                f"{self.store.folder}/{token}. Put the right token there; when it is lost, "
                "see “A lost management token” in docs/guide/cluster.md."
            ) from error
