"""Runs on a computer of its own (tests/lab/test_version_2_alone.py): a lab with one machine, over the system
that runs there, and what its control groups say, as one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from lab.control_groups import find_unified_hierarchy, hierarchies_v1, machine_group, processes_of
from lab.farm_in_a_box import Lab
from lab.paths import cache_folder
from lab.plan import machines_named
from lab.root_tree import root_tree_key

MEMORY_MIB = 300


def main() -> None:
    tree = cache_folder() / "roots" / root_tree_key()
    tree.mkdir(parents=True)
    # Instead of a Debian system of the lab's own, which takes long here.
    subprocess.run(["mount", "--bind", "/", tree], check=True)
    lab = Lab("alone")
    lab.up(machines_named(["inner"], memory_mib=MEMORY_MIB, disk_gib=1))
    group = machine_group(lab.paths.machine("inner"))
    found = {
        "place": str(find_unified_hierarchy()),
        "version_1": sorted(hierarchies_v1()),
        "memory_max": (group / "memory.max").read_text().strip(),
        "inside": lab.run("inner", ["cat", "/sys/fs/cgroup/cgroup.controllers"]).stdout.split(),
        "pid_1": lab.run("inner", ["cat", "/proc/1/comm"]).stdout.strip(),
    }
    greedy = "x = bytearray(600 << 20)"
    found["greedy"] = lab.run("inner", ["python3", "-c", greedy]).returncode
    lab.inject_fault("inner", "disk-slow")
    found["io_max"] = (group / "io.max").read_text().strip()
    lab.clear_fault("inner")
    found["healed"] = (group / "io.max").read_text().strip()
    lab.down()
    found["left"] = [str(one) for one in find_unified_hierarchy().glob("soundstage-lab/*/")] + processes_of(
        group
    )
    print(json.dumps(found))


if __name__ == "__main__":
    os.chdir("/")
    sys.exit(main())
