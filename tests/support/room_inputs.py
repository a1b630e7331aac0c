"""Caches the results of whole rooms of tests; a plugin of pytest.

A module of these rooms runs in `make test-changed` when one of these folders, or what it imports, has changed
(tests/support/cached_results.py), and in `make test`, where `OWN` names its room, only when that has changed.
Modules that are marked `cached` or `torch` themselves keep what they name; tests marked `smoke` always run.
"""

from __future__ import annotations

import pytest
from cached_results import MARKS
from program_inputs import PROGRAM

ROOM_INPUTS = {
    # The tests start the worker as a program, which imports what it needs late.
    "avatar": (
        *("avatar", "personas", "tests/avatar", "ansible/roles/worker/files", "scripts/bench"),
        *("scripts/piper_environment", "bench/gpu_checks.py", "bench/landmarks.py"),
        "bench/results.py",
        *("bench/voice_pairs.py", "bench/voice_sentences.txt", "bench/voices.py"),
    ),
    "lab": (
        *("lab", "tests/lab", "tools", "ansible", "ansible.cfg", "playbook.yaml", "inventory", "molecule"),
        *("farm/device_plugin", "scripts/pack_python", "app/cli/farm", "soundstage", "pyproject.toml"),
    ),
    "pxe": ("pxe", "lab", "tests/pxe", "tools", "policy", "provisioning_api", "soundstage"),
    "node_health": ("farm", "ansible", "tests/node_health", "tools", "scripts/pack_python"),
    "device_plugin": ("farm/device_plugin", "tests/device_plugin", "tools"),
    "monitoring": ("ansible", "tests/monitoring"),
    # Journeys: they start the programs as users do, with Chromium, Nomad or Ansible.
    "ui": (*PROGRAM, "ui", "tests/servers"),
    "e2e": (*PROGRAM, "tests/e2e", "tests/servers"),
    "jobs": (
        *(*PROGRAM, "tests/jobs", "tests/servers"),
        *("tests/avatar/photo/fixtures", "tests/avatar/speech"),
    ),
    "farm": (
        *("farm", "soundstage", "policy", "jobs", "avatar", "personas", "tools", "tests/farm"),
        *("tests/servers", "bench/results.py", "bench/simulate.py", "docs/guide/nomad.md"),
    ),
    "provisioning_api": (
        *("provisioning_api", "soundstage", "policy", "farm", "pxe", "tools", "ansible", "ansible.cfg"),
        *("playbook.yaml", "inventory", "app/cli", "bench/simulated_fleet", "tests/provisioning_api"),
        *("tests/servers", "docs/guide/cluster.md"),
    ),
    "ansible": (
        *("ansible", "ansible.cfg", "playbook.yaml", "inventory", "lab", "tools", "provisioning_api", "farm"),
        *("soundstage", "policy", "scripts", "tests/ansible", "tests/servers"),
    ),
}
# What a room is about, beside its tests; all else of its inputs are programs that it starts.
OWN = {
    "ui": ("ui",),
    "e2e": (),
    "jobs": ("jobs",),
    "farm": ("farm",),
    "provisioning_api": ("provisioning_api",),
    "ansible": ("ansible", "ansible.cfg", "playbook.yaml", "inventory"),
    "node_health": ("ansible",),
    "lab": ("lab", "molecule"),
    "pxe": ("pxe",),
}
# Modules of these rooms that start the whole program.
WHOLE_PROGRAM = (
    *("farm/nomad/test_nomad_journey.py", "farm/transfer/test_mounted.py", "provisioning_api/test_backup.py"),
    *("provisioning_api/test_contract.py", "provisioning_api/test_prompt.py"),
)
# They read the documentation, which no key holds.
ALWAYS = ("provisioning_api/test_documents.py",)


def pytest_itemcollected(item: pytest.Item) -> None:
    path = item.path.relative_to(item.config.rootpath / "tests")
    inputs = ROOM_INPUTS.get(path.parts[0])
    if inputs is None or path.as_posix() in ALWAYS:
        return
    if any(map(item.get_closest_marker, MARKS)):
        inputs = ()
    elif path.as_posix() in WHOLE_PROGRAM:
        inputs = (*inputs, *PROGRAM)
    room = path.parts[0]
    own = (*OWN[room], f"tests/{room}") if room in OWN else ()
    if inputs or own:
        item.add_marker(pytest.mark.cached(*inputs, own=own))
