"""A lab on a computer that has control groups of version 2 alone, as laptops do. Computers of CI may have
both, so this one is emulated, and its lab's machine is a machine in a machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from emulated_machine import start_emulated
from qemu_machine import why_no_qemu

from lab.farm_in_a_box import Lab

pytestmark = [pytest.mark.root, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("systemd-container", "mmdebstrap", "socat", "openssh-client")
# What the lab's modules import, by way of the project's errors.
PACKAGES += ("python3-pydantic", "python3-fastapi", "python3-structlog", "python3-yaml")


def test_a_machine_is_limited_by_its_group_of_version_2(
    lab_names: Callable[[str], Lab], tmp_path: Path
) -> None:
    if (missing := why_no_qemu()) is not None:
        pytest.skip(f"{missing}; then: make test-long")
    project = tmp_path / "project"
    for name in ("lab", "soundstage"):
        shutil.copytree(ROOT / name, project / name, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    shutil.copy(Path(__file__).with_name("version_2_probe.py"), project)
    lab = start_emulated(
        lab_names, "laptop", memory_mib=2048, packages=PACKAGES, files={"/opt/project": project}
    )
    # The cache is in memory: an overlay refuses a layer that lies inside of another, and `/` is one here.
    script = "cd /opt/project && PYTHONPATH=. SOUNDSTAGE_LAB_CACHE=/run/lab python3 version_2_probe.py"
    done = lab.run("laptop", ["sh", "-ec", script], timeout_s=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["place"], found["version_1"], found["pid_1"]) == ("/sys/fs/cgroup", [], "systemd")
    assert found["memory_max"] == str(300 * 1024 * 1024)
    # What Nomad asks for before it limits its tasks.
    assert {"cpu", "cpuset", "io", "memory", "pids"} <= set(found["inside"])
    assert found["greedy"] not in (0, 1), "the kernel ends it; Python's own MemoryError would be 1"
    assert "rbps=524288" in found["io_max"]
    assert found["healed"] == ""
    assert found["left"] == []
