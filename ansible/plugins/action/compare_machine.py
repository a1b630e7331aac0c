# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the arguments of compare_machine, and runs it on the machine."""

from __future__ import annotations

from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.argument_specs import (
    PATH,
    PATHS,
    TEXT,
    TEXTS,
    dicts,
)
from ansible_collections.soundstage.farm.plugins.module_utils.placing import ARGUMENTS
from ansible_collections.soundstage.farm.plugins.plugin_utils.module_program import ModuleProgram

_ARGUMENTS: dict[str, Any] = {
    **ARGUMENTS,
    "present": PATHS,
    "packages": TEXTS,
    "units": dicts(name=TEXT, reads=PATHS, reloads={"type": "bool", "default": False}),
    "users": dicts(name=TEXT, shell=TEXT),
    "commands": dicts(name=TEXT, argv={"type": "list", "elements": "str", "required": True}, prints=TEXTS),
    "blocks": dicts(path=PATH, marker=TEXT, block=TEXT),
}


class ActionModule(ModuleProgram):
    """Runs `modules/compare_machine.py` on the machine."""

    arguments = _ARGUMENTS
    program = "compare_machine"
    needs = ("argument_specs", "placing")
