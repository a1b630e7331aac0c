"""Lists the files of the checkout that the installed program is made of; for the mark `cached`."""

from __future__ import annotations

PROGRAM = (
    *("pyproject.toml", "uv.lock", "ansible.cfg", "playbook.yaml", "README.md", "LICENSE"),
    *("ansible", "soundstage", "policy", "studio", "provisioning_api", "farm", "agent", "lab", "app", "pxe"),
    *("jobs", "avatar", "inventory", "personas", "scripts"),
)
# Of tests that start the program as a whole: everything but pages, and tests of other rooms.
JOURNEYS = (
    *PROGRAM,
    *("tools", "ui", "tests/servers", "tests/provisioning_api", "tests/agent", "tests/support"),
)
