"""Prints how long Ansible takes for a farm in the lab: ours against plain settings, in one run (as root).

    sudo .venv/bin/python bench/ansible.py [--machines N]

Each way converges the same ready machines, so that only the way of working differs: `plain` is Ansible's own
defaults (no pipelining, facts gathered, temporary files), `ours` is ansible.cfg, `mitogen` is scripts/play.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "ansible")]

from farm_in_lab import ANSIBLE, HEAVY, write_inventory  # noqa: E402

from lab.farm_in_a_box import Lab  # noqa: E402
from lab.plan import machines_named  # noqa: E402

PLAIN = {
    "ANSIBLE_PIPELINING": "False",
    "ANSIBLE_GATHERING": "implicit",
    "ANSIBLE_CACHE_PLUGIN": "memory",
    "ANSIBLE_FORKS": "5",
    "ANSIBLE_PYTHON_INTERPRETER": "auto_silent",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machines", type=int, default=3)
    names = ["control-1", *(f"cpu-{number}" for number in range(1, parser.parse_args().machines))]
    built = subprocess.run(
        [ROOT / "tools/build", "nomad", "consul"], capture_output=True, text=True, check=True
    )
    programs = {name: Path(path) for name, path in (line.split("\t") for line in built.stdout.splitlines())}
    lab = Lab("bench-ansible")
    lab.down()
    lab.up(machines_named(names), groups={"control": names[:1], "workers": names[1:]}, say=print)
    try:
        with tempfile.TemporaryDirectory() as folder:
            variables = {"farm__secrets": f"{folder}/secrets", "ssh_hardening__authorized_keys": "keep"}
            inventory = write_inventory(Path(folder) / "inventory", lab, programs, variables)
            print(f"{len(names)} machines, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
            _timed("bare machines, ours", lab, inventory, {}, mitogen=False)
            for name, settings, mitogen in (
                ("plain", PLAIN, False),
                ("ours", {}, False),
                ("mitogen", {}, True),
            ):
                _timed(f"ready machines, {name}", lab, inventory, settings, mitogen=mitogen)
    finally:
        lab.down()


def _timed(what: str, lab: Lab, inventory: Path, settings: dict[str, str], *, mitogen: bool) -> None:
    program = str(ROOT / "scripts/play") if mitogen else str(ANSIBLE / "ansible-playbook")
    command = [program, "-i", str(inventory), "playbook.yaml", "--skip-tags", ",".join(HEAVY)]
    start = time.monotonic()
    done = subprocess.run(
        lab.entering(command), cwd=ROOT, env={**lab.environment(), **settings}, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{what}: the playbook failed\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    print(f"{what:<28} {time.monotonic() - start:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
