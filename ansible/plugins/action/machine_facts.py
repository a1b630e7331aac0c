# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the arguments of machine_facts, and runs it on the machine."""

from __future__ import annotations

from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.argument_specs import PATHS
from ansible_collections.soundstage.farm.plugins.plugin_utils.module_program import ModuleProgram

_ARGUMENTS: dict[str, Any] = {"expected": PATHS}


class ActionModule(ModuleProgram):
    """Runs `modules/machine_facts.py` on the machine."""

    arguments = _ARGUMENTS
    program = "machine_facts"
    needs = ("ssh_controllers",)
