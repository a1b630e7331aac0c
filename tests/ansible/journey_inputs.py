"""Lists what the tests on machines of the lab read beside what they import; for the mark `cached`.

`make test-long` compares it with the files that are really opened (tests/support/cached_results.py).
"""

from __future__ import annotations

import program_inputs

# The playbook with its roles, the worker and the device plugin that it installs, engines and machines.
FARM = (
    *("ansible", "ansible.cfg", "playbook.yaml", "inventory"),
    # The build of the worker's wheel leaves out what it names.
    ".gitignore",
    *("avatar", "farm/device_plugin", "scripts/pack_python", "tools", "lab"),
)
# Of the checkout, what the program on a machine is packed from.
PROGRAM = (
    *program_inputs.PROGRAM,
    *("README.md", "LICENSE", "ansible.cfg", "playbook.yaml"),
    *("ansible", "inventory", "lab", "scripts"),
)
