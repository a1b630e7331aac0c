"""Caches the results of rooms whose tests depend on few folders; a plugin of pytest.

A module of these rooms runs in `make test` when one of these folders, or what it imports, has changed
(tests/support/cached_results.py). Modules that are marked `cached` or `torch` themselves keep what they name.
"""

from __future__ import annotations

import pytest
from cached_results import MARKS

ROOM_INPUTS = {
    # The tests start the worker as a program, which imports what it needs late.
    "avatar": (
        *("avatar", "personas", "tests/avatar", "ansible/roles/worker/files", "scripts/bench"),
        *("scripts/piper_environment", "bench/gpu_checks.py", "bench/landmarks.py", "bench/results.py"),
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
}


def pytest_itemcollected(item: pytest.Item) -> None:
    room = item.path.relative_to(item.config.rootpath / "tests").parts[0]
    if (inputs := ROOM_INPUTS.get(room)) and not any(map(item.get_closest_marker, MARKS)):
        item.add_marker(pytest.mark.cached(*inputs))
