"""Lists what the tests on machines of the lab read beside what they import; for the mark `cached`.

`make test-long` compares it with the files that are really opened (tests/support/cached_results.py).
"""

from __future__ import annotations

# The playbook with its roles, the worker and the device plugin that it installs, engines and machines.
FARM = (
    *("ansible", "ansible.cfg", "playbook.yaml", "inventory"),
    *("avatar", "farm/device_plugin", "scripts/pack_python", "tools", "lab"),
)
# Of the checkout, what the program is made of.
PROGRAM = (
    *("pyproject.toml", "uv.lock", "ansible.cfg", "playbook.yaml", "README.md", "LICENSE"),
    *("ansible", "soundstage", "policy", "studio", "provisioning_api", "farm", "agent", "lab", "app", "pxe"),
    *("jobs", "avatar", "inventory", "personas", "scripts"),
)
