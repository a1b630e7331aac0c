# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of ours on a machine without Ansible's module library, whose import there takes longer than
the module's work.

The module and what it needs of ours go to the standard input of the machine's Python, by a temporary file
only where the connection does not pipeline. The standard library is all that they may import besides.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

DEFAULT_PYTHON = "/usr/bin/python3"
_PLUGINS = Path(__file__).resolve().parents[1]
_PACKAGE = "ansible_collections.soundstage.farm.plugins"
_START = "import json, sys; sent = json.load(sys.stdin); exec(sent['loader'])"
_LOADER = """
import types

for name, source in sent["sources"]:
    parts = name.split(".")
    for depth in range(1, len(parts)):
        package = types.ModuleType(".".join(parts[:depth]))
        package.__path__ = []
        sys.modules.setdefault(package.__name__, package)
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
print(json.dumps(module.run(sent["params"])))
"""


class ModuleProgram(ActionBase):
    """A plugin names its `arguments`, its `program` in the folder `modules`, which has a function
    `run(params)`, and the `needs` of that in the folder `module_utils`, each after what it needs itself.

    Fails with the last line that the program wrote to its standard error.
    """

    TRANSFERS_FILES = False

    arguments: ClassVar[dict[str, Any]]
    program: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        _, params = self.validate_argument_spec(argument_spec=self.arguments)
        python = self._python(task_vars or {})
        sent = {"loader": _LOADER, "sources": self._sources(), "params": params}
        done = self._execute(f"{shlex.quote(python)} -I -c {shlex.quote(_START)}", json.dumps(sent))
        lines = done["stdout"].strip().splitlines()
        if done["rc"] != 0 or not lines:
            output = [f"exit code {done['rc']}", *lines, *done["stderr"].strip().splitlines()]
            raise AnsibleActionFail(f"{self.program}: {output[-1]}")
        result: dict[str, Any] = json.loads(lines[-1])
        return result

    def _execute(self, command: str, sent: str) -> dict[str, Any]:
        """Executes a command that reads `sent`. A connection that does not pipeline may have a terminal as
        standard input, which never ends.
        """
        if self._is_pipelining_enabled("new"):
            return dict(self._low_level_execute_command(command, in_data=sent.encode()))
        folder = self._make_tmp_path()
        file = self._connection._shell.join_path(folder, "program.json")
        try:
            self._transfer_data(file, sent)
            self._fixup_perms2((folder, file))
            return dict(self._low_level_execute_command(f"{command} < {shlex.quote(file)}"))
        finally:
            self._remove_tmp_path(folder)

    def _sources(self) -> list[tuple[str, str]]:
        files = [*(f"module_utils/{name}" for name in self.needs), f"modules/{self.program}"]
        return [
            (f"{_PACKAGE}.{file.replace('/', '.')}", (_PLUGINS / f"{file}.py").read_text()) for file in files
        ]

    def _python(self, task_vars: dict[str, Any]) -> str:
        configured = str(self._templar.template(task_vars.get("ansible_python_interpreter", "")))
        return configured if configured.startswith("/") else DEFAULT_PYTHON
