"""`down` takes everything of a lab away, however it was left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually

from lab.control_groups import find_unified_hierarchy, keepers_group, processes_of
from lab.farm_in_a_box import Lab, all_labs
from lab.plan import machines_named
from lab.teardown import mount_points

pytestmark = pytest.mark.root
_ROOT = Path(__file__).parents[2]


def what_is_left(lab: Lab, ids: list[str]) -> dict[str, Any]:
    """Everything on this computer that carries the lab's name; all empty when it is gone."""
    groups = [path for path in Path("/sys/fs/cgroup").glob(f"**/soundstage-lab/{lab.name}") if path.is_dir()]
    processes = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"{lab.paths.folder}/".encode() in _read(path) or any(one.encode() in _read(path) for one in ids)
    ]
    backing = Path("/sys/block").glob("loop*/loop/backing_file")
    loops = [path for path in backing if str(lab.paths.folder) in _text(path)]
    nspawn = [path for path in Path("/run/systemd/nspawn").glob("*/*") if path.name in ids]
    return {
        "files": [lab.paths.folder] if lab.paths.folder.exists() else [],
        "mounts": [place for place in mount_points() if place.startswith(str(lab.paths.folder))],
        "network": [lab.paths.network_file] if lab.paths.network_file.exists() else [],
        "control groups": groups,
        "processes": processes,
        "loop devices": loops,
        "nspawn": nspawn,
    }


def nothing(left: dict[str, Any]) -> bool:
    return not any(left.values())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # it ended meanwhile


def _text(path: Path) -> str:
    return _read(path).decode()


def test_down_leaves_nothing_and_may_be_said_twice(lab_names: Callable[[str], Lab]) -> None:
    lab = lab_names("gone")
    lab.up(machines_named(["one"], disk_gib=1))
    ids = [lab.paths.machine("one").id]
    assert not nothing(what_is_left(lab, ids))
    lab.down()
    assert nothing(left := what_is_left(lab, ids)), left
    lab.down()
    assert lab.name not in all_labs()


def test_down_after_everything_was_killed_and_the_plan_is_lost(lab_names: Callable[[str], Lab]) -> None:
    lab = lab_names("killed")
    lab.up(machines_named(["one"], disk_gib=1))
    ids = [lab.paths.machine("one").id]
    for pid in processes_of(keepers_group(lab.paths)):
        os.kill(pid, signal.SIGKILL)
    lab.paths.plan.write_text("{")
    lab.down()
    assert nothing(left := what_is_left(lab, ids)), left


def test_down_after_the_command_that_made_the_lab_was_killed_in_the_middle(
    lab_names: Callable[[str], Lab],
) -> None:
    lab = lab_names("half")
    names = ["one", "two", "three"]
    making = subprocess.Popen(
        [sys.executable, "-P", "-c", _MAKE, lab.name, *names],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    machines = find_unified_hierarchy() / "soundstage-lab" / lab.name / "machines"
    eventually(
        lambda: processes_of(machines) or making.poll() is not None,
        "the first machine to start",
        within_s=240,
    )
    making.kill()
    making.wait()
    lab.down()
    assert nothing(left := what_is_left(lab, [lab.paths.machine(one).id for one in names])), left
    lab.up(machines_named(["one"], disk_gib=1))
    assert lab.run("one", ["true"]).returncode == 0
    lab.down()


def test_a_lab_that_cannot_be_made_leaves_nothing(lab_names: Callable[[str], Lab], monkeypatch: Any) -> None:
    lab = lab_names("broken")

    def no_disk(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lab.machines.make_disk", no_disk)
    with pytest.raises(OSError, match="No space left"):
        lab.up(machines_named(["one"]))
    assert nothing(left := what_is_left(lab, [lab.paths.machine("one").id])), left


_MAKE = """
import sys
from lab.farm_in_a_box import Lab
from lab.plan import machines_named
Lab(sys.argv[1]).up(machines_named(sys.argv[2:], disk_gib=1))
"""
