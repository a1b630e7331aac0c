"""A real server, two real source addresses: one floods, the other boots."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("flood_in_namespace.py")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root: run the tests as root")


def flood(folder: Path, size: int) -> dict[str, Any]:
    command = ["unshare", "--net", sys.executable, str(SCRIPT), str(folder), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check(found: dict[str, Any]) -> None:
    assert found["honest"] == [200, 200], found
    assert found["codes"].get("taken in", 0) <= 9, found
    assert found["codes"]["request.too_many_failures"] > 0, found


@needs_root
@pytest.mark.timeout(600)
def test_a_machine_gets_through_while_another_address_floods(tmp_path: Path) -> None:
    check(flood(tmp_path, 80))


@needs_root
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_large_flood_leaves_little_behind(tmp_path: Path) -> None:
    found = flood(tmp_path, 800)
    check(found)
    assert found["stored_bytes"] < 6 << 20, found
