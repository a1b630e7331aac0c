# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame of the action plugins: they work on the controller with the farm's secrets and engines."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.soundstage.farm.plugins.module_utils.engine_api import EngineError
from ansible_collections.soundstage.farm.plugins.module_utils.secret_store import SecretStoreError


class FarmAction(ActionBase):
    """A plugin names its `arguments` and says what to do in `act`.

    An unusable secret or an engine that refuses ends the task with their own sentence, the engine's after
    `engine_failed`.
    """

    TRANSFERS_FILES = False
    _requires_connection = False

    arguments: ClassVar[dict[str, Any]]
    engine_failed: ClassVar[str] = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _, params = self.validate_argument_spec(argument_spec=self.arguments)
        try:
            return self.act(params)
        except SecretStoreError as error:
            raise AnsibleActionFail(str(error)) from error
        except EngineError as error:
            raise AnsibleActionFail(f"{self.engine_failed}{error}") from error

    def act(self, params: dict[str, Any]) -> dict[str, Any]:
        """Do what the checked arguments ask for, or only tell in check mode; returns the task's result."""
        raise NotImplementedError
